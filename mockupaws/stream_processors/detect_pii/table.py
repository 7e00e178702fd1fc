"""All detectors in one table. Its order ranks them: of two findings that overlap, the earlier type wins.

Types that prove themselves by their own form come first; PASSWORD, which only a name proves, gives way to the token
that stands there, and addresses give way to the credentials around them. PHONE, which many digits resemble, comes last.
"""

from __future__ import annotations

from mockupaws.stream_processors.detect_pii.api_token import API_TOKEN
from mockupaws.stream_processors.detect_pii.aws_credentials import AWS_ACCESS_KEY, AWS_SECRET_KEY
from mockupaws.stream_processors.detect_pii.bank_account import IBAN
from mockupaws.stream_processors.detect_pii.coordinates import GEO
from mockupaws.stream_processors.detect_pii.date_of_birth import DATE_OF_BIRTH
from mockupaws.stream_processors.detect_pii.detector import UNEXAMINED, Detector
from mockupaws.stream_processors.detect_pii.email_address import EMAIL
from mockupaws.stream_processors.detect_pii.ip_address import IPV4, IPV6
from mockupaws.stream_processors.detect_pii.italian_fiscal_code import IT_FISCAL_CODE
from mockupaws.stream_processors.detect_pii.json_web_token import JWT
from mockupaws.stream_processors.detect_pii.mac_address import MAC
from mockupaws.stream_processors.detect_pii.national_number import DE_TAX_ID, ES_ID, FR_NIR, UK_NINO
from mockupaws.stream_processors.detect_pii.passport import PASSPORT
from mockupaws.stream_processors.detect_pii.password import PASSWORD
from mockupaws.stream_processors.detect_pii.payment_card import CREDIT_CARD
from mockupaws.stream_processors.detect_pii.person_rules import PERSON_RULES
from mockupaws.stream_processors.detect_pii.phone_number import PHONE
from mockupaws.stream_processors.detect_pii.private_key import PRIVATE_KEY
from mockupaws.stream_processors.detect_pii.social_security_number import US_SSN
from mockupaws.stream_processors.detect_pii.url_credentials import URL_CREDENTIALS

DETECTORS: tuple[Detector, ...] = (
    PRIVATE_KEY,
    JWT,
    AWS_ACCESS_KEY,
    AWS_SECRET_KEY,
    URL_CREDENTIALS,
    API_TOKEN,
    PASSWORD,
    EMAIL,
    IBAN,
    CREDIT_CARD,
    IT_FISCAL_CODE,
    US_SSN,
    FR_NIR,
    UK_NINO,
    ES_ID,
    DE_TAX_ID,
    PASSPORT,
    DATE_OF_BIRTH,
    MAC,
    IPV6,
    IPV4,
    GEO,
    PHONE,
)

RULE_VERSIONS: dict[str, int] = {
    rule: expression.version
    for detector in DETECTORS
    for expression in detector.expressions
    if not expression.asleep
    for rule, _ in expression.rules()
} | {UNEXAMINED: 1, **{rule: version for rule, (version, _) in PERSON_RULES.items()}}
"""Of the rules that find something."""

ASLEEP: frozenset[str] = frozenset(
    expression.versioned for detector in DETECTORS for expression in detector.expressions if expression.asleep
)
"""New rules and new versions of rules, which are only counted where a policy asks."""
SHADOW_RULES: frozenset[str] = ASLEEP | frozenset(
    rule
    for detector in DETECTORS
    for expression in detector.expressions
    if not expression.asleep
    for rule, _ in expression.rules()
)
"""What a policy may name in `shadow.rules`."""
