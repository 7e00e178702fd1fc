"""Values of the set `crossed`, made up a third time: by check digits and masks of its own, with nothing of the other sets.

Nothing here imports the detectors, and nothing was taken from `values` or `foreign_values`.
"""

from __future__ import annotations

import base64
import itertools
import json
import string
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from random import Random

import phonenumbers
from stdnum import iban, luhn
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.iso7064 import mod_11_10
from stdnum.it import codicefiscale

UPPER, LOWER, DIGITS = string.ascii_uppercase, string.ascii_lowercase, string.digits
WORD = string.ascii_letters + DIGITS
URL_SAFE = WORD + "-_"


def mask(r: Random, pattern: str) -> str:
    """`#` digit, `@` upper-case letter, `?` letter or digit, `%` hex digit, `~` base64url; all else stands for itself."""
    alphabets = {"#": DIGITS, "@": UPPER, "?": WORD, "%": "0123456789abcdef", "~": URL_SAFE}
    return "".join(r.choice(alphabets[c]) if c in alphabets else c for c in pattern)


def one_of(*patterns: str) -> Callable[[Random], str]:
    return lambda r: mask(r, r.choice(patterns))


_PEOPLE = (
    "hanna.weiss k.okafor giulia_bianchi jean-luc.moreau p.garcia77 Sofia.Hernandez tom_b anneke.devries marta.kowalska "
    "ole.hansen yuki.tanaka r.mcallister dimitris.p lucia.fontana no.reply.4711 billing+eu j.r.r.vance x9 zoë.lang"
).split()
_HOSTS = (
    "acme-logistics.com mail.contoso.co gmx.de posteo.net libero.it pec.comune.lucca.it orange.fr telefonica.es uni-graz.ac.at "
    "yahoo.co.jp proton.me fastmail.fm icloud.com web.de shop.nordwind.io startup.ai hsbc.co.uk bücher.example"
).split()


def email(r: Random) -> str:
    return f"{r.choice(_PEOPLE)}@{r.choice(_HOSTS)}"


def plain_email(r: Random) -> str:
    return email(r).replace("ë", "e").replace("ü", "u")


_NATIONAL = {
    "US": ("(212) %##-####", "415-%##-####", "646.%##.####", "(305)%##-####", "617 %## ####"),
    "GB": ("020 7### ####", "07700 9#####", "0161 4## ####", "07911 ######", "(0117) 9## ####"),
    "DE": ("030 #######", "0171 #######", "089/#######", "0176-########", "(040) 3#######", "0221 47#####"),
    "FR": ("01 4# ## ## ##", "06.##.##.##.##", "07 8# ## ## ##", "0612######", "04-7#-##-##-##"),
    "IT": ("06 4##### #", "347 ### ####", "02 4### ####", "333#######", "349-#######", "055/26####"),
    "ES": ("91 ### ## ##", "6## ### ###", "93 4## ## ##", "622 ## ## ##", "654######"),
}
_ABROAD = (
    "+1 (415) %##-####", "+1-212-%##-####", "+1646%######", "+44 20 7### ####", "+44 7911 ######", "+447700#####0", "+49 30 ########",
    "+49 (0) 171 #######", "+49171#######", "+33 6 ## ## ## ##", "+33 (0)1 4# ## ## ##", "+39 347 #######", "+39 06 4#######",
    "+39347#######", "+34 6## ## ## ##", "+34 91 ### ## ##", "+41 79 ### ## ##", "+43 664 #######", "+31 6 ########", "+32 47# ## ## ##",
    "+48 5## ### ###", "+351 91# ### ###", "+46 70 ### ## ##", "+91 98### #####", "+61 4## ### ###", "+81 90-####-####", "+55 11 9####-####",
    "+353 87 ### ####", "+420 60# ### ###",
)  # fmt: skip


def _valid_phone(r: Random, patterns: tuple[str, ...], region: str | None) -> str:
    while True:
        number = mask(r, r.choice(patterns).replace("%", r.choice("2345678")))
        if phonenumbers.is_valid_number(phonenumbers.parse(number, region)):
            return number


def national(region: str) -> Callable[[Random], str]:
    return lambda r: _valid_phone(r, _NATIONAL[region], region)


def phone_abroad(r: Random) -> str:
    return _valid_phone(r, _ABROAD, None)


def phone_any(r: Random) -> str:
    return phone_abroad(r) if r.random() < 0.4 else national(r.choice(sorted(_NATIONAL)))(r)


def phone_e164(r: Random) -> str:
    return "+" + "".join(c for c in phone_abroad(r).replace("(0)", "") if c.isdigit())


def phone_zeros(r: Random) -> str:
    return "00" + phone_abroad(r).replace("(0) ", "").replace("(0)", "").lstrip("+")


_CARDS = ("4###############", "51##############", "55##############", "2221############", "37#############", "34#############",
          "6011############", "65##############", "3530############", "36############", "62##############")  # fmt: skip


def card_digits(r: Random) -> str:
    body = mask(r, r.choice(_CARDS))[:-1]
    return body + luhn.calc_check_digit(body)


def card(r: Random) -> str:
    number, separator = card_digits(r), r.choice(("", "", " ", "-"))
    groups = (
        [number[:4], number[4:10], number[10:]] if len(number) < 16 else [number[i : i + 4] for i in range(0, 16, 4)]
    )
    return separator.join(groups)


_BANKS = {"DE": "#" * 18, "FR": "#" * 23, "IT": "@" + "#" * 22, "ES": "#" * 20, "GB": "@@@@" + "#" * 14, "NL": "@@@@" + "#" * 10, "BE": "#" * 12,
          "AT": "#" * 16, "CH": "#" * 17, "PL": "#" * 24, "PT": "#" * 21, "SE": "#" * 20, "IE": "@@@@" + "#" * 14, "FI": "#" * 14, "LU": "#" * 16}  # fmt: skip


def iban_plain(r: Random) -> str:
    country = r.choice(sorted(_BANKS))
    body = mask(r, _BANKS[country])
    return country + iban.calc_check_digits(country + "00" + body) + body


def iban_any(r: Random) -> str:
    number = iban_plain(r)
    return number if r.random() < 0.6 else " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def ssn(r: Random) -> str:
    area = r.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}-{r.randrange(1, 100):02d}-{r.randrange(1, 10_000):04d}"


def fiscal_code(r: Random) -> str:
    def part() -> str:
        return mask(r, "@@@")

    body = (
        f"{part()}{part()}{r.randrange(30, 99)}{r.choice('ABCDEHLMPRST')}{r.randrange(1, 29) + r.choice((0, 40)):02d}"
        f"{r.choice('ABCDEFGHIL')}{r.randrange(100, 999)}"
    )
    return body + codicefiscale.calc_check_digit(body)


def nino(r: Random) -> str:
    pattern = r.choice(("AB", "CE", "JK", "PW", "SX", "YZ", "HR", "LM")) + r.choice(("######", "######", " ## ## ## "))
    return mask(r, pattern) + r.choice("ABCD")


def french_nir(r: Random) -> str:
    body = mask(r, f"{r.choice('12')}{r.randrange(30, 99)}{r.randrange(1, 13):02d}{r.randrange(1, 95):02d}######")
    number = body + nir.calc_check_digits(body)
    if r.random() < 0.5:
        return number
    cuts = (0, 1, 3, 5, 7, 10, 13, 15)
    return " ".join(number[a:b] for a, b in itertools.pairwise(cuts))


def german_tax_id(r: Random) -> str:
    while True:
        distinct = r.sample(DIGITS, 9)
        body = [*distinct, r.choice(distinct)]
        r.shuffle(body)
        number = "".join(body) + mod_11_10.calc_check_digit("".join(body))
        if idnr.is_valid(number):
            return number if r.random() < 0.6 else f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:]}"


def spanish_id(r: Random) -> str:
    if r.random() < 0.6:
        body = mask(r, "########")
        return body + r.choice(("", "-")) + dni.calc_check_digit(body)
    body = r.choice("XYZ") + mask(r, "#######")
    return body + nie.calc_check_digit(body)


_MONTHS = "January February March April May June July August September October November December".split()


def birth_date(r: Random) -> str:
    y, m, d = r.randrange(1935, 2008), r.randrange(1, 13), r.randrange(1, 29)
    return r.choice(
        (
            f"{y}-{m:02d}-{d:02d}",
            f"{d:02d}/{m:02d}/{y}",
            f"{d:02d}.{m:02d}.{y}",
            f"{y}/{m:02d}/{d:02d}",
            f"{d} {_MONTHS[m - 1]} {y}",
        )
    )


def birth_iso(r: Random) -> str:
    return f"{r.randrange(1935, 2008)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}"


def ipv4(r: Random) -> str:
    first = r.choice((10, 172, 192, 203, 8, 51, 93, 185, 34))
    second = {10: r.randrange(256), 172: r.randrange(16, 32), 192: 168, 203: 0}.get(first, r.randrange(256))
    return f"{first}.{second}.{113 if first == 203 else r.randrange(256)}.{r.randrange(1, 255)}"


def ipv6(r: Random) -> str:
    prefix = r.choice((0x20010DB8, 0x2A010E34, 0x26064700, 0xFD12ABCD, 0xFE800000))
    middle = 0 if prefix == 0xFE800000 or r.random() < 0.5 else r.getrandbits(32)
    address = IPv6Address(prefix << 96 | middle << 64 | r.getrandbits(r.choice((16, 48, 64))))
    return r.choice((str(address), str(address), address.exploded, str(address).upper()))


def mac(r: Random) -> str:
    octets = [f"{b:02x}" for b in (r.choice((0x00, 0x3C, 0xAC, 0xB8, 0x52)), *r.randbytes(5))]
    return r.choice((":".join(octets), "-".join(octets).upper(), ":".join(octets).upper(), "-".join(octets)))


def latitude(r: Random) -> str:
    return f"{r.uniform(-65, 70):.{r.randrange(4, 8)}f}"


def longitude(r: Random) -> str:
    return f"{r.uniform(-170, 175):.{r.randrange(4, 8)}f}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(r: Random) -> str:
    header = {"alg": r.choice(("HS256", "RS256", "ES256", "EdDSA")), "typ": "JWT"}
    if r.random() < 0.5:
        header = {"kid": mask(r, "????????"), **header}
    claims = {"sub": mask(r, "######"), "exp": 1795000000 + r.randrange(10**6), "scope": "read write"}
    parts = [base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    return ".".join([*parts, base64url(r.randbytes(r.choice((32, 64))))])


def pem_key(r: Random) -> str:
    kind = r.choice(
        ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    )
    body = base64.b64encode(r.randbytes(r.randrange(60, 140))).decode()
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "⏎".join((f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"))


_ISSUED = (
    "ghp_" + "?" * 36, "gho_" + "?" * 36, "ghs_" + "?" * 36, "github_pat_" + "?" * 22 + "_" + "?" * 59, "glpat-" + "~" * 20, "glpat-" + "?" * 20,
    "xoxb-############-############-" + "?" * 24, "xoxp-###########-###########-############-" + "%" * 32, "xapp-1-A0" + "@" * 9 + "-############-" + "%" * 64,
    "sk_live_" + "?" * 24, "sk_test_" + "?" * 99, "rk_live_" + "?" * 24, "AIzaSy" + "~" * 33, "sk-proj-" + "?" * 48, "sk-" + "?" * 48,
    "sk-ant-api03-" + "~" * 92 + "AA", "npm_" + "?" * 36, "SG." + "?" * 22 + "." + "?" * 43, "hf_" + "?" * 34, "dop_v1_" + "%" * 64, "shpat_" + "%" * 32,
    "hvs." + "?" * 24, "dckr_pat_" + "?" * 27, "pypi-AgEIcHlwaS5vcmc" + "?" * 80, "glsa_" + "?" * 32 + "_" + "%" * 8, "GOCSPX-" + "?" * 28,
)  # fmt: skip
_RANDOM_TOKENS = ("?" * 24, "?" * 32, "%" * 32, "%" * 40, "%" * 64, "~" * 43, "?" * 20, "@#?" * 9)


def token_random(r: Random) -> str:
    while True:
        value = mask(r, r.choice(_RANDOM_TOKENS))
        if any(c.isdigit() for c in value) and value[0] not in "-_" and value[-1] not in "-_":
            return value


def token_any(r: Random) -> str:
    return one_of(*_ISSUED)(r) if r.random() < 0.5 else token_random(r)


def basic(r: Random) -> str:
    return base64.b64encode(f"{r.choice(_PEOPLE[:6])}:{password_bare(r)}".encode()).decode()


_CHOSEN = (
    "Sommer2024! qwertz123 Tr0ub4dor&3 letmein99 P@ssw0rd1 iloveyou2 Juventus1897 Barcelona#10 dragon777 S0nnenschein admin1234 "
    "changeit42 Azerty!2025 correct-horse-battery-7 MyDog.Rex9 hunter_42 Passw0rd 19841984 monkey12 Zaq12wsx Frühling25 b0ssa-n0va"
).split()


def password_bare(r: Random) -> str:
    """Letters, digits and what needs no quotes or escapes anywhere."""
    return r.choice(
        (
            r.choice([word for word in _CHOSEN if word.isascii() and not set(word) & set("&#@")]),
            mask(r, "????????????"), mask(r, "@????-????#"), mask(r, "??????????????????????"), mask(r, "%%%%%%%%%%%%%%%%"), mask(r, "????_????.##!"),
        )
    )  # fmt: skip


def password_any(r: Random) -> str:
    """What a field in quotes may hold without an escape."""
    return r.choice(
        (
            r.choice(_CHOSEN),
            password_bare(r),
            mask(r, "?????^???*??"),
            mask(r, "??$??#??@??"),
            mask(r, "{????!????}??"),
            mask(r, "???? ????##"),
        )
    )


def password_escaped(r: Random) -> str:
    return mask(r, "????") + r.choice(('"', "\\", "<", "&", "'")) + mask(r, "???##")


def user_information(r: Random) -> str:
    user = r.choice(("app", "svc_orders", "root", "reader", "kafka-ui", "ci", "admin", "deploy%40corp", ""))
    return f"{user or 'default'}:{password_bare(r).replace('#', '')}"


CROSSED_VALUES: Mapping[str, Callable[[Random], str]] = {
    "EMAIL": email, "EMAIL:plain": plain_email,
    "PHONE": phone_any, "PHONE:abroad": phone_abroad, "PHONE:e164": phone_e164, "PHONE:zeros": phone_zeros,
    **{f"PHONE:{region.lower()}": national(region) for region in _NATIONAL},
    "CREDIT_CARD": card, "CREDIT_CARD:digits": card_digits, "IBAN": iban_any, "IBAN:plain": iban_plain, "US_SSN": ssn, "IT_FISCAL_CODE": fiscal_code,
    "IT_FISCAL_CODE:lower": lambda r: fiscal_code(r).lower(), "UK_NINO": nino, "FR_NIR": french_nir, "DE_TAX_ID": german_tax_id, "ES_ID": spanish_id,
    "PASSPORT": one_of("@########", "#########", "@@#######", "@#######", "##@@#####", "C0?X##T4#".replace("?", "1")),
    "DATE_OF_BIRTH": birth_date, "DATE_OF_BIRTH:iso": birth_iso,
    "IPV4": ipv4, "IPV6": ipv6, "MAC": mac, "MAC:dotted": one_of("%%%%.%%%%.%%%%"), "GEO": latitude, "GEO:lon": longitude,
    "GEO:pair": lambda r: f"{latitude(r)}, {longitude(r)}", "GEO:tight": lambda r: f"{latitude(r)},{longitude(r)}",
    "AWS_ACCESS_KEY": lambda r: r.choice(("AKIA", "AKIA", "ASIA")) + "".join(r.choice(UPPER + "234567") for _ in range(16)),
    "AWS_SECRET_KEY": lambda r: "".join(r.choice(WORD + "+/") for _ in range(40)),
    "JWT": jwt, "PRIVATE_KEY": pem_key, "PRIVATE_KEY:json": lambda r: pem_key(r).replace("⏎", "\\n"),
    "API_TOKEN": token_any, "API_TOKEN:issued": one_of(*_ISSUED), "API_TOKEN:random": token_random, "API_TOKEN:basic": basic,
    "PASSWORD": password_bare, "PASSWORD:any": password_any, "PASSWORD:escaped": password_escaped, "URL_CREDENTIALS": user_information,
}  # fmt: skip
