"""Replaces what was found in a text or in attributes, as the tenant's policy says (policies.apply_policy).

Redacting what is already redacted changes nothing: no expression matches a mark, a value that is a mark counts as
masked, and what is redacted is scanned again, since something may show only once its neighbour is masked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mockupaws.stream_processors.detect_pii.api_token import is_api_token
from mockupaws.stream_processors.detect_pii.password_names import is_password
from mockupaws.stream_processors.detect_pii.scan import Found, TextScanner
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, NEVER_SCAN, CompiledPolicy
from mockupaws.stream_processors.policies.draft import Draft, open_draft
from mockupaws.stream_processors.policies.marks import LINE_DROPPED, is_mark

VISIBLE_NUL = "\u2400"
"""Stands for U+0000, which Postgres' text refuses."""
MAX_ROUNDS = 64
"""How often a text is scanned again, since a mask may show what stood beside it. A list behind one key word
(`dob: a, b, …`) shows one a round; where even then something is found, or a rule finds its own mark, the text is
dropped as a whole."""
_BY_NAME = "field.name"
"""Rule of a value that its name alone tells."""
_BY_SELECTOR = "field.selector"
"""Rule of a value that a selector of the policy tells."""


class Redacted(NamedTuple):
    """A text as it may be stored."""

    text: str
    pii_mask: int
    """Bits (schemas.pii_types) of the types found."""
    shadow: tuple[str, ...] = ()
    """The shadow rules that would have acted, one for each finding."""


class RedactedAttributes(NamedTuple):
    values: dict[str, Any]
    pii_mask: int
    shadow: tuple[str, ...] = ()


def without_nul(text: str) -> str:
    """`text` with NUL made visible, one character for one."""
    return text.replace("\0", VISIBLE_NUL)


def without_half_pairs(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair that stands alone, so that UTF-8 can hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _storable(text: str) -> str:
    return without_nul(without_half_pairs(text))


def redact_text(scanner: TextScanner, text: str, policy: CompiledPolicy = DEFAULT_POLICY) -> Redacted:
    draft = open_draft(_storable(text).encode())
    mask = 0
    shadow: list[str] = []
    findings = scanner.scan(draft.data)
    for _ in range(MAX_ROUNDS):
        if not findings:
            break
        applied = policy.apply(draft, findings)
        draft = applied.draft
        mask |= applied.pii_mask
        shadow += applied.shadow
        findings = scanner.scan(draft.data)
    if findings:
        return Redacted(LINE_DROPPED.decode(), mask, tuple(shadow))
    return Redacted(draft.final().decode(), mask, tuple(shadow))


def redact_attributes(
    scanner: TextScanner, attributes: dict[str, Any], policy: CompiledPolicy = DEFAULT_POLICY
) -> RedactedAttributes:
    """The same object with each leaf and each name redacted, and the types found.

    A leaf is read together with its name, so `{"password": …}` is told as `password=…` is. A number in which
    something is found becomes a text.
    """
    walk = _Walk(scanner, policy)
    return RedactedAttributes(walk.object(attributes, "", None), walk.pii_mask, tuple(walk.shadow))


class _Walk:
    def __init__(self, scanner: TextScanner, policy: CompiledPolicy) -> None:
        self._scanner = scanner
        self._policy = policy
        self.pii_mask = 0
        self.shadow: list[str] = []

    def object(self, values: dict[str, Any], path: str, treat_as: str | None) -> dict[str, Any]:
        """`path`: the dotted names that lead here, each with a dot; `treat_as`: what a selector said of all below."""
        redacted: dict[str, Any] = {}
        for name, value in values.items():
            shown = _storable(str(name)) if treat_as == NEVER_SCAN else self._name(str(name))
            while shown in redacted:
                shown += "'"  # two names that redact to one mark both stay
            within = f"{path}{shown}"
            redacted[shown] = self._value(shown, value, within, self._policy.fields.meaning_of(within) or treat_as)
        return redacted

    def _value(self, name: str, value: Any, path: str, treat_as: str | None) -> Any:
        match value:
            case str():
                return self._leaf(name, value, treat_as)
            case dict():
                return self.object(value, f"{path}.", treat_as)
            case list():
                return [self._value(name, item, path, treat_as) for item in value]
            case bool() | None:
                return value
            case int() | float():
                text = str(value)
                shown = self._leaf(name, text, treat_as)
                return value if shown == text else shown
        return value

    def _name(self, name: str) -> str:
        redacted = redact_text(self._scanner, name, self._policy)
        self.pii_mask |= redacted.pii_mask
        self.shadow += redacted.shadow
        return redacted.text

    def _leaf(self, name: str, value: str, treat_as: str | None) -> str:
        value = _storable(value)
        data = value.encode()
        if treat_as is not None:
            untouched = treat_as == NEVER_SCAN or not value or is_mark(data)
            return value if untouched else self._as_a_whole(treat_as, _BY_SELECTOR, data)
        prefix = _storable(name).encode() + b"="
        draft = open_draft(data)
        findings = self._findings(prefix, draft.data)
        named = _type_by_name(name, value)
        if named is not None and not (len(findings) == 1 and findings[0].end - findings[0].start == len(draft.data)):
            return value if is_mark(data) else self._as_a_whole(named, _BY_NAME, data)
        for _ in range(MAX_ROUNDS):
            if not findings:
                break
            draft = self._apply(draft, findings)
            findings = self._findings(prefix, draft.data)
        if findings:
            return LINE_DROPPED.decode()
        return draft.final().decode()

    def _as_a_whole(self, pii_type: str, rule: str, data: bytes) -> str:
        return self._apply(Draft(data), [Found(0, len(data), pii_type, rule, 1.0)]).final().decode()

    def _apply(self, draft: Draft, findings: list[Found]) -> Draft:
        applied = self._policy.apply(draft, findings)
        self.pii_mask |= applied.pii_mask
        self.shadow += applied.shadow
        return applied.draft

    def _findings(self, prefix: bytes, data: bytes) -> list[Found]:
        """What is found in `data` where it stands behind `prefix`.

        Of what begins in the prefix (`… IDENTIFIED BY '=` opens a quoted value) it is the part in `data`: dropped, it
        would hide all findings inside it.
        """
        findings: list[Found] = []
        for found in self._scanner.scan(prefix + data):
            start, end = found.start - len(prefix), found.end - len(prefix)
            if start < 0 < end and not is_mark(data[:end]):
                findings.append(found._replace(start=0, end=end))
            elif start >= 0:
                findings.append(found._replace(start=start, end=end))
        return findings


def _type_by_name(name: str, value: str) -> str | None:
    """A value as a whole is the secret where its name says so, whatever else stands in it."""
    if is_password(name, value):
        return "PASSWORD"
    if is_api_token(name, value):
        return "API_TOKEN"
    return None
