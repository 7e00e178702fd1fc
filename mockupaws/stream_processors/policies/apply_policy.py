"""A policy compiled for the analyser: what becomes of the findings of one text. Pure, no I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from mockupaws.schemas.pii_types import PII_BIT, PII_TYPES
from mockupaws.stream_processors.detect_pii.detector import UNEXAMINED
from mockupaws.stream_processors.detect_pii.scan import Found, TypedSpan
from mockupaws.stream_processors.detect_pii.table import ASLEEP, RULE_VERSIONS
from mockupaws.stream_processors.policies import marks
from mockupaws.stream_processors.policies.document import KEYED_ACTIONS, Action, PolicyDocument
from mockupaws.stream_processors.policies.draft import Draft, Held, around
from mockupaws.stream_processors.policies.normalise import normalise
from mockupaws.stream_processors.policies.select_fields import FieldSelector
from mockupaws.stream_processors.policies.tenant_keys import TenantKey

_SHARE_BYTES = 4
_ONE_SHARE = 1 << (8 * _SHARE_BYTES)

NEVER_SCAN = "never_scan"
"""What a field selector says of a field that is left alone; otherwise it names the type to treat it as."""


class Applied(NamedTuple):
    """What became of one text."""

    draft: Draft
    findings: list[Found]
    """Those that are personal data for this tenant."""
    pii_mask: int
    shadow: list[str]
    """The name of each shadow rule that would have acted, once for each finding."""


class MaskedLines(NamedTuple):
    """Lines with a plain mark for each finding, by column and in their order."""

    numbers: list[int]
    """The place of each among the lines that were scanned."""
    texts: list[bytes]
    pii_masks: list[int]
    """Bits of the types that were found in each."""


class CompiledPolicy:
    """One version of one tenant's policy. Compared by identity."""

    def __init__(
        self, document: PolicyDocument, version: int, key: TenantKey | None, older_keys: Sequence[TenantKey] = ()
    ) -> None:
        """`key`: under which marks are made; `older_keys`: those of before, for values that were allowed then.

        Without a key, what would need it is masked, and no exact value is allowed: never weaker, never a stop.
        """
        self.version = version
        """0: the tenant has stored none."""
        needed = {allowed.key for allowed in document.allow if allowed.digest is not None}
        self._keys_of_allowed = [each for each in (key, *older_keys) if each is not None and each.number in needed]
        self.lacks_key = (key is None and document.needs_key) or len(self._keys_of_allowed) < len(needed)
        self._key = key
        self._action_of: dict[str, Action] = {name: document.actions.get(name, "mask") for name in PII_TYPES}
        if key is None:
            for name, action in self._action_of.items():
                if action in KEYED_ACTIONS:
                    self._action_of[name] = "mask"
        self._allowed_digests = frozenset((a.type, a.digest) for a in document.allow if a.digest is not None)
        self._allowed_patterns: dict[str, list[list[str]]] = {}
        for allowed in document.allow:
            if allowed.pattern is not None:
                pieces = _normalised_pattern(allowed.type, allowed.pattern)
                self._allowed_patterns.setdefault(allowed.type, []).append(pieces)
        self._types_with_digests = frozenset(pii_type for pii_type, _ in self._allowed_digests)
        self.shadow_actions: Mapping[str, Action] = document.shadow.actions
        self.shadow_rules = frozenset(document.shadow.rules)
        self.fields = FieldSelector(
            (field.path, field.treat_as if field.treat_as is not None else NEVER_SCAN) for field in document.fields
        )
        self.treats_fields = any(field.treat_as is not None for field in document.fields)
        self._persons_below = round(document.persons.share * _ONE_SHARE) if document.persons is not None else 0
        self.line_dropping_bits = sum(PII_BIT[name] for name, act in self._action_of.items() if act == "drop_line")
        """A line in which one of these types was found is dropped."""
        self.masks_only = set(self._action_of.values()) == {"mask"} and not document.allow and not self.shadow_actions

    def apply(self, draft: Draft, findings: list[Found]) -> Applied:
        """Each finding becomes a plain mark in the draft, however the policy has it in the end."""
        if self.masks_only and not draft.held:
            data, mask = mask_each(draft.data, findings)
            return Applied(Draft(data), findings, mask, [])
        return self._apply(draft, findings)

    def shadow_of(self, data: bytes, aside: list[Found], found: list[Found]) -> list[str]:
        """The shadow rules, each with its version, whose findings would be acted on, once for each finding.

        `aside`: what they find, `found`: what the others find in the same data; nothing is new where these overlap.
        """
        return [
            one.rule if one.rule in ASLEEP else f"{one.rule}@{RULE_VERSIONS[one.rule]}"
            for one in aside
            if one.rule != UNEXAMINED
            and all(one.end <= other.start or other.end <= one.start for other in found)
            and not self._is_allowed(one.pii_type, data[one.start : one.end])
        ]

    def examines_persons(self, request_id: bytes | None) -> bool:
        """Whether names of persons are looked for in this request; of one always the same, as a repeat must give the
        same lines. Where no request is told: in each, if in any."""
        if not self._persons_below or request_id is None:
            return self._persons_below > 0
        return int.from_bytes(sha256(request_id).digest()[:_SHARE_BYTES], "big") < self._persons_below

    def action_of(self, pii_type: str) -> Action:
        return self._action_of[pii_type]

    def _apply(self, draft: Draft, findings: list[Found]) -> Applied:
        kept: list[Found] = []
        shadow: list[str] = []
        pieces: list[bytes] = []
        held: list[Held] = []
        earlier = deque(draft.held)
        mask = position = length = 0
        for found in around(findings, draft.held):
            start, end, pii_type = found[:3]
            pieces.append(draft.data[position:start])
            _carry_over(earlier, held, start, length - position)
            length += start - position
            original = draft.part(start, end)
            while earlier and earlier[0].start < end:
                earlier.popleft()
            plain = marks.masked(pii_type, original)
            if self._is_allowed(pii_type, original):
                final = original
            else:
                final = self._final(pii_type, original, plain)
                kept.append(found)
                mask |= PII_BIT[pii_type]
                if pii_type in self.shadow_actions:
                    shadow.append(pii_type)
            if final is not plain:
                held.append(Held(length, length + len(plain), final))
            pieces.append(plain)
            length += len(plain)
            position = end
        pieces.append(draft.data[position:])
        _carry_over(earlier, held, len(draft.data), length - position)
        return Applied(Draft(b"".join(pieces), held), kept, mask, shadow)

    def _final(self, pii_type: str, original: bytes, plain: bytes) -> bytes:
        match self._action_of[pii_type]:
            case "flag":
                return original
            case "drop":
                return marks.DROPPED
            case "hash" if self._key is not None:
                return marks.hashed(pii_type, self._key.digest(pii_type, original.decode("utf-8", "replace")))
            case "encrypt" if self._key is not None:
                return marks.encrypted(pii_type, self._key.encrypt(pii_type, original))
        return plain

    def _is_allowed(self, pii_type: str, original: bytes) -> bool:
        patterns = self._allowed_patterns.get(pii_type)
        if patterns is None and pii_type not in self._types_with_digests:
            return False
        value = original.decode("utf-8", "replace")
        if patterns is not None:
            normal = normalise(pii_type, value)
            if any(_fits(pattern, normal) for pattern in patterns):
                return True
        if pii_type not in self._types_with_digests:
            return False
        return any(
            (pii_type, key.allow_digest(pii_type, value)) in self._allowed_digests for key in self._keys_of_allowed
        )


def mask_each(data: bytes, findings: list[Found]) -> tuple[bytes, int]:
    """The data with a plain mark for each finding, and the bits of their types."""
    pieces: list[bytes] = []
    mask = position = 0
    for start, end, pii_type, _, _ in findings:
        mask |= PII_BIT[pii_type]
        pieces += (data[position:start], marks.masked(pii_type, data[start:end]))
        position = end
    pieces.append(data[position:])
    return b"".join(pieces), mask


def mask_lines(joined: bytes, texts: Sequence[bytes], spans: Sequence[TypedSpan]) -> MaskedLines:
    """The lines of `joined`, which is `texts` with a byte between them, that hold one of the spans.

    No span reaches from one line into the next.
    """
    ends = list(accumulate([len(text) + 1 for text in texts]))
    plain_mark = marks.PLAIN_MARKS.get
    masked = numbers, shown, masks = MaskedLines([], [], [])
    pieces: list[bytes] = []
    number, position, line_end, mask = -1, 0, 0, 0
    for start, end, pii_type in spans:
        if start >= line_end:
            if pieces:
                pieces.append(joined[position:line_end])
                shown.append(b"".join(pieces))
                masks.append(mask)
            following = bisect_right(ends, start, number + 1)
            position = ends[following - 1] if following else 0
            number, line_end, mask, pieces = following, ends[following] - 1, 0, []
            numbers.append(number)
        pieces += (joined[position:start], plain_mark(pii_type) or marks.masked(pii_type, joined[start:end]))
        mask |= PII_BIT[pii_type]
        position = end
    if pieces:
        pieces.append(joined[position:line_end])
        shown.append(b"".join(pieces))
        masks.append(mask)
    return masked


def _carry_over(earlier: deque[Held], held: list[Held], end: int, shift: int) -> None:
    """Moves the marks of before that stand before `end` to their new place."""
    while earlier and earlier[0].start < end:
        mark = earlier.popleft()
        held.append(Held(mark.start + shift, mark.end + shift, mark.final))


def _normalised_pattern(pii_type: str, pattern: str) -> list[str]:
    """What stands between the `*` of a pattern, normalised as values of the type are."""
    return [normalise(pii_type, piece) if piece else "" for piece in pattern.split("*")]


def _fits(pieces: list[str], value: str) -> bool:
    """Whether the value starts with the first piece, ends with the last, and holds the others in order between them."""
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return value == first
    if not value.startswith(first) or not value.endswith(last):
        return False
    position, end = len(first), len(value) - len(last)
    for piece in pieces[1:-1]:
        position = value.find(piece, position, end)
        if position < 0:
            return False
        position += len(piece)
    return position <= end


DEFAULT_POLICY = CompiledPolicy(PolicyDocument(), 0, None)
"""Masks all types: of each tenant that has stored no policy."""

PolicyOf = Callable[[bytes], CompiledPolicy]
"""The policy of a tenant's id."""


def always_default(tenant_id: bytes) -> CompiledPolicy:
    return DEFAULT_POLICY
