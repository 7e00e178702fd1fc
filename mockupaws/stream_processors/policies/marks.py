"""The marks that stand in place of findings, and how they are known again so that nothing is redacted twice.

`[EMAIL]` masked, `[CREDIT_CARD:1111]` masked but for the last four, `[EMAIL:h:3f2a…]` hashed, `[EMAIL:e:AZ…]`
encrypted, `[DROPPED]` dropped, `[LINE_DROPPED]` in place of a whole line.
"""

from __future__ import annotations

import re

from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.policies.tenant_keys import TenantKey

DROPPED = b"[DROPPED]"
LINE_DROPPED = b"[LINE_DROPPED]"

_KEEPS_LAST_FOUR = "CREDIT_CARD"
PLAIN_MARKS = {name: f"[{name}]".encode() for name in PII_TYPES if name != _KEEPS_LAST_FOUR}
"""The masked marks of types of which nothing is left."""
_NAMES = "|".join(PII_TYPES)
_KEYED_MARK = re.compile(rf"\[({_NAMES}):(?:h:[0-9a-f]{{16}}|e:[A-Za-z0-9_-]{{24,}})\]".encode())
_ENCRYPTED_MARK = re.compile(rf"\[({_NAMES}):e:([A-Za-z0-9_-]{{24,}})\]")
_ANY_MARK = re.compile(
    rf"\[(?:DROPPED|LINE_DROPPED|(?:{_NAMES})(?::(?:.{{1,4}}|h:[0-9a-f]{{16}}|e:[A-Za-z0-9_-]{{24,}}))?)\]".encode()
)


def masked(pii_type: str, original: bytes) -> bytes:
    if pii_type == _KEEPS_LAST_FOUR:
        return b"[%b:%b]" % (pii_type.encode(), original[-4:])
    return PLAIN_MARKS[pii_type]


def hashed(pii_type: str, digest: str) -> bytes:
    """`digest`: 16 hex digits."""
    return f"[{pii_type}:h:{digest}]".encode()


def encrypted(pii_type: str, token: str) -> bytes:
    """`token`: unpadded URL-safe base64 of at least 24 characters."""
    return f"[{pii_type}:e:{token}]".encode()


def marks_of_value(key: TenantKey, pii_type: str, value: str) -> list[str]:
    """The hashed and the encrypted mark of a value of this type."""
    return [
        hashed(pii_type, key.digest(pii_type, value)).decode(),
        encrypted(pii_type, key.encrypt(pii_type, value.encode())).decode(),
    ]


def is_mark(text: bytes) -> bool:
    """Whether the whole text is one mark."""
    return _ANY_MARK.fullmatch(text) is not None


def encrypted_marks(text: str) -> list[tuple[str, str, str]]:
    """(mark, type, token) of each encrypted mark in the text, each once, in order."""
    return list(dict.fromkeys((found[0], found[1], found[2]) for found in _ENCRYPTED_MARK.finditer(text)))


def may_hold_keyed_marks(data: bytes) -> bool:
    """False where there is surely none: to be asked before anything dearer."""
    return b":h:" in data or b":e:" in data


def keyed_marks(data: bytes) -> list[tuple[int, int, bytes]]:
    """(start, end, the plain mark of its type) of each hashed or encrypted mark, in order."""
    if not may_hold_keyed_marks(data):
        return []
    return [(*found.span(), b"[%b]" % found[1]) for found in _KEYED_MARK.finditer(data)]
