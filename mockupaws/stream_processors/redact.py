"""Replaces what was found: `[EMAIL]`, and `[CREDIT_CARD:1111]` where the last four digits are customary.

Redacting what is already redacted changes nothing: no expression matches a mark, a value that is a mark counts as
masked, and what is redacted is scanned again, since something may show only once its neighbour is masked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mockupaws.schemas.pii_types import PII_BIT
from mockupaws.stream_processors.detect_pii.api_token import is_api_token
from mockupaws.stream_processors.detect_pii.password import is_password
from mockupaws.stream_processors.detect_pii.scan import Found, Scanner

VISIBLE_NUL = "\u2400"
"""Stands for U+0000, which Postgres' text refuses."""

_KEEPS_LAST_FOUR = "CREDIT_CARD"


def redact(data: bytes, findings: Iterable[Found]) -> bytes:
    """`data` with a mark in place of each finding; findings are in order and don't overlap."""
    pieces: list[bytes] = []
    position = 0
    for found in findings:
        pieces.append(data[position : found.start])
        pieces.append(_mark(found.pii_type, data[found.start : found.end]))
        position = found.end
    pieces.append(data[position:])
    return b"".join(pieces)


def mask_of(findings: Iterable[Found]) -> int:
    """The bits (schemas.pii_types) of the types found."""
    mask = 0
    for found in findings:
        mask |= PII_BIT[found.pii_type]
    return mask


def without_nul(text: str) -> str:
    """`text` with NUL made visible, one character for one."""
    return text.replace("\0", VISIBLE_NUL)


def without_half_pairs(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair that stands alone, so that UTF-8 can hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def redact_text(scanner: Scanner, text: str) -> tuple[str, int]:
    """One text redacted, and the types found in it."""
    data, mask = _redact_all(scanner, without_nul(without_half_pairs(text)).encode())
    return data.decode(), mask


def _redact_all(scanner: Scanner, data: bytes) -> tuple[bytes, int]:
    """Ends, as each round turns characters into marks, which are not found again."""
    mask = 0
    while findings := scanner.scan(data):
        mask |= mask_of(findings)
        data = redact(data, findings)
    return data, mask


def redact_attributes(scanner: Scanner, attributes: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The same object with each leaf and each name redacted, and the types found.

    A leaf is read together with its name, so `{"password": …}` is told as `password=…` is. A number in which
    something is found becomes a text.
    """
    walk = _Walk(scanner)
    return walk.object(attributes), walk.pii_mask


class _Walk:
    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self.pii_mask = 0

    def object(self, values: dict[str, Any]) -> dict[str, Any]:
        redacted: dict[str, Any] = {}
        for name, value in values.items():
            shown = self._name(str(name))
            while shown in redacted:
                shown += "'"  # two names that redact to one mark both stay
            redacted[shown] = self._value(str(name), value)
        return redacted

    def _value(self, name: str, value: Any) -> Any:
        match value:
            case str():
                return self._leaf(name, value)
            case dict():
                return self.object(value)
            case list():
                return [self._value(name, item) for item in value]
            case bool() | None:
                return value
            case int() | float():
                text = str(value)
                shown = self._leaf(name, text)
                return value if shown == text else shown
        return value

    def _name(self, name: str) -> str:
        shown, mask = redact_text(self._scanner, name)
        self.pii_mask |= mask
        return shown

    def _leaf(self, name: str, value: str) -> str:
        value = without_nul(without_half_pairs(value))
        prefix = without_nul(without_half_pairs(name)).encode() + b"="
        data = value.encode()
        findings = self._findings(prefix, data)
        named = _type_by_name(name, value)
        if named is not None and not (len(findings) == 1 and findings[0].end - findings[0].start == len(data)):
            self.pii_mask |= PII_BIT[named]
            return _mark(named, data).decode()
        while findings:
            self.pii_mask |= mask_of(findings)
            data = redact(data, findings)
            findings = self._findings(prefix, data)
        return data.decode()

    def _findings(self, prefix: bytes, data: bytes) -> list[Found]:
        """What is found in `data` where it stands behind `prefix`."""
        return [
            found._replace(start=found.start - len(prefix), end=found.end - len(prefix))
            for found in self._scanner.scan(prefix + data)
            if found.start >= len(prefix)
        ]


def _type_by_name(name: str, value: str) -> str | None:
    """A value as a whole is the secret where its name says so, whatever else stands in it."""
    if is_password(name, value):
        return "PASSWORD"
    if is_api_token(name, value):
        return "API_TOKEN"
    return None


def _mark(pii_type: str, original: bytes) -> bytes:
    if pii_type == _KEEPS_LAST_FOUR:
        return b"[%b:%b]" % (pii_type.encode(), original[-4:])
    return b"[%b]" % pii_type.encode()
