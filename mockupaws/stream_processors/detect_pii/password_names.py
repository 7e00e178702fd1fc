"""Names that passwords and secrets are assigned to, in some languages, as expressions on UTF-8."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import is_masked

WORDS = (
    r"passw(?:or)?d|passwrd|passphrase|passcode|passwort|kennwort|contrase(?:n|\xc3\xb1)a|mot[ _]?de[ _]?passe|\bsenha"
    r"|parola[ _]chiave|\bparola(?:[ _]d.ordine)?|wachtwoord|l\xc3\xb6senord|adgangskode|has\xc5\x82o\b|\bheslo|\xc5\x9fifre\b"
    r"|\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc\xe3\x83\x89|\xe5\xaf\x86\xe7(?:\xa0\x81|\xa2\xbc)"
    r"|\xeb\xb9\x84\xeb\xb0\x80\xeb\xb2\x88\xed\x98\xb8|\xd0(?:\xbf|\x9f)\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c"
)
_SHORT = r"pwd|\bpass|[a-z0-9][_.-]pass|(?:db|user|smtp|imap|mail|ftp|ssh|ldap|admin|root|login|proxy|redis|mysql|pg|auth|wifi)pass|\bpw|[_.-]pw|\b(?:wpa[_-]?)?psk|pre[_-]?shared[_-]?key"
_SECRETS = r"secret(?:[_-]?(?:key|token|value))?(?:[_-]?base)?|(?:encryption|signing|master|hmac|shared|storage|account)[_-]?key"
_SUFFIX = r"(?:[ _-]?(?:confirm(?:ation)?|new|old|current|again|repeat|plain|text|value|super[_-]secure))?"
NAMES = rf"(?:(?:{WORDS}){_SUFFIX}|{_SHORT}|{_SECRETS})"
NAME_AT_END = re.compile(rf"{NAMES}[0-9]?\Z".encode("latin-1"), re.IGNORECASE)


def is_password(name: str, value: str) -> bool:
    """Whether an attribute of this name holds a password."""
    return NAME_AT_END.search(name.encode("utf-8", "replace")) is not None and not is_masked(
        value.encode("utf-8", "replace")
    )
