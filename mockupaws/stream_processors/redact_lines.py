"""Finds and redacts in many lines together, under one policy: work in Python only where something was found. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache, partial
from operator import add
from typing import Any, NamedTuple

from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Found, TextScanner
from mockupaws.stream_processors.line_batch import SEPARATOR_TEXT, AttributeBatch, LineBatch, encode_json
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy, MaskedLines, mask_lines
from mockupaws.stream_processors.policies.draft import Draft, open_draft
from mockupaws.stream_processors.policies.marks import LINE_DROPPED, may_hold_keyed_marks
from mockupaws.stream_processors.redact import MAX_ROUNDS, redact_attributes, redact_text

_CACHED_LABELS = 4096
"""Sources and levels repeat: distinct ones kept with what was found in them, for each policy."""

Findings = dict[int, list[Found]]
"""The findings of each text that has any, by position, in bytes of that text."""


class Tally(NamedTuple):
    """What was found in the entries of a batch, whichever part of them held it."""

    masks: list[int]
    """Of each entry, bits (schemas.pii_types) of the types found."""
    shadow: dict[int, list[str]]
    """Of each entry on which shadow rules would have acted, by position: the rules, once for each finding."""

    @classmethod
    def of(cls, entries: int) -> Tally:
        return cls([0] * entries, {})

    def add(self, position: int, pii_mask: int, shadow: Sequence[str]) -> None:
        self.masks[position] |= pii_mask
        if shadow:
            self.shadow.setdefault(position, []).extend(shadow)


class LineRedactor:
    def __init__(self, scanner: TextScanner, policy: CompiledPolicy, aside: TextScanner | None = None) -> None:
        """`aside`: finds what the policy's shadow rules would, which is counted only."""
        self._aside = aside
        self._scanner = scanner
        self._policy = policy
        self._redact_label = lru_cache(_CACHED_LABELS)(partial(redact_text, scanner, policy=policy))
        self._redact_attributes: Callable[[dict[str, Any]], Any] = partial(redact_attributes, scanner, policy=policy)

    def redact_messages(self, batch: LineBatch, tally: Tally, *, tell: bool = False) -> Findings:
        """Replaces the texts and messages in which something was found.

        `tell`: answers with the findings that are personal data for the tenant, else with none.
        """
        if not tell and self._aside is None and self._policy.masks_only:
            spans = self._scanner.spans(batch.joined)
            if not spans:
                return {}
            masked = mask_lines(batch.joined, batch.texts, spans)
            if not may_hold_keyed_marks(SEPARATOR.join([batch.texts[number] for number in masked.numbers])):
                self._mask(batch, masked, tally)
                return {}
        found = self._scanner.scan_texts(batch.joined, batch.texts)
        if self._aside is not None:
            self._count_aside(self._aside, batch.joined, batch.texts, range(len(batch.texts)), found, tally)
        kept = self._apply(batch.texts, found, tally)
        for position in found:
            batch.messages[position] = batch.texts[position].decode()
        return kept

    def redact_labels(self, labels: list[str], tally: Tally) -> list[str]:
        """Sources or levels, which repeat: each distinct one is looked at once."""
        redact = self._redact_label
        changed = {
            label: redacted for label in set(labels) if (redacted := redact(label)).pii_mask or redacted.text != label
        }
        if not changed:
            return labels
        shown = labels.copy()
        for position, label in enumerate(labels):
            if label in changed:
                text, pii_mask, shadow = changed[label]
                shown[position] = text
                tally.add(position, pii_mask, shadow)
        return shown

    def redact_attributes(
        self,
        attributes: Sequence[dict[str, Any] | None],
        batch: AttributeBatch,
        payloads: list[str],
        sizes: list[int],
        tally: Tally,
    ) -> list[str | None]:
        """The attributes of each entry as redacted JSON; their JSON as sent is added to payloads and sizes.

        Most hold nothing: their JSON is scanned as it is, and only where something is found, an escape might hide it,
        or the policy names fields, are the leaves walked.
        """
        suspects: Collection[int]
        if self._aside is None:
            spans = self._scanner.spans(batch.joined)
            suspects = set(mask_lines(batch.joined, batch.texts, spans).numbers) if spans else ()
        else:
            suspects = found = self._scanner.scan_texts(batch.joined, batch.texts)
            self._count_aside(self._aside, batch.joined, batch.texts, batch.positions, found, tally)
        shown: list[str | None] = batch.joined.decode().split(SEPARATOR_TEXT)  # type: ignore[assignment]
        lengths = map(len, batch.texts)
        if len(shown) == len(attributes):
            payloads[:] = map(add, payloads, shown)
            sizes[:] = map(add, sizes, lengths)
        else:
            texts, shown = shown, [None] * len(attributes)
            for position, text, length in zip(batch.positions, texts, lengths, strict=True):
                payloads[position] += text or ""
                sizes[position] += length
                shown[position] = text
        walked: Iterable[int] = ()
        if self._policy.treats_fields:
            walked = range(len(batch.texts))
        elif suspects or b"\\" in batch.joined:
            walked = [number for number, text in enumerate(batch.texts) if number in suspects or b"\\" in text]
        for number in walked:
            position = batch.positions[number]
            redacted = self._redact_attributes(attributes[position] or {})
            tally.add(position, redacted.pii_mask, redacted.shadow)
            shown[position] = encode_json(redacted.values).decode()
        return shown

    def _count_aside(
        self,
        aside: TextScanner,
        joined: bytes,
        texts: list[bytes],
        positions: Sequence[int],
        found: Findings,
        tally: Tally,
    ) -> None:
        """`positions`: the entry of each text."""
        for number, findings in aside.scan_texts(joined, texts).items():
            shadow = self._policy.shadow_of(texts[number], findings, found.get(number, []))
            tally.add(positions[number], 0, shadow)

    def _mask(self, batch: LineBatch, masked: MaskedLines, tally: Tally) -> None:
        """The direct way of `_apply`, where plain marks are all that becomes of findings; `masked`: the first round."""
        texts, masks = batch.texts, tally.masks
        changed = positions = masked.numbers
        for _ in range(MAX_ROUNDS):
            for position, text, pii_mask in zip(positions, masked.texts, masked.pii_masks, strict=True):
                texts[position] = text
                masks[position] |= pii_mask
            joined = SEPARATOR.join(masked.texts)
            spans = self._scanner.spans(joined)
            if not spans:
                break
            masked = mask_lines(joined, masked.texts, spans)
            positions = [positions[number] for number in masked.numbers]
        else:
            for position in positions:
                texts[position] = LINE_DROPPED
        for position in changed:
            batch.messages[position] = texts[position].decode()

    def _apply(self, texts: list[bytes], found: Findings, tally: Tally) -> Findings:
        """As the policy says; the findings that are personal data for the tenant."""
        kept: Findings = {}
        drafts: dict[int, Draft] = {}
        hidden = found
        for _ in range(MAX_ROUNDS):
            if not hidden:
                break
            for position, findings in hidden.items():
                if hidden is found:
                    drafts[position] = open_draft(texts[position])
                    if drafts[position].held:  # it has marks of before: to be scanned with these made plain
                        continue
                applied = self._policy.apply(drafts[position], findings)
                drafts[position] = applied.draft
                tally.add(position, applied.pii_mask, applied.shadow)
                if hidden is found:
                    kept[position] = applied.findings
            hidden = self._find_again(hidden, [drafts[position].data for position in hidden])
        for position, draft in drafts.items():
            texts[position] = draft.final()
        for position in hidden:
            texts[position] = LINE_DROPPED
        return kept

    def _find_again(self, hidden: Findings, texts: list[bytes]) -> Findings:
        """What is found now in the texts of these positions."""
        still = self._scanner.scan_texts(SEPARATOR.join(texts), texts)
        if not still:
            return still
        return {position: still[number] for number, position in enumerate(hidden) if number in still}
