"""Groups redacted lines into templates: what the lines of a scenario mostly say, with what varies masked. Pure.

The idea is that of Drain (He et al., 2017): lines of the same punctuation are compared word by word with the templates
known so far that begin alike; it joins the most similar one, and words that differ become `<*>`. Numbers, digests and
UUIDs are masked before. Templates may be mined again with the lines they stand for: what several found adds up.

A template holds no digit, and of redacted values only the type: `[EMAIL]`, never what a policy may leave in its mark. A
line with a finding that its policy left in the text is counted, but its text is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mockupaws.schemas.analysed import LineColumns
from mockupaws.schemas.pii_types import types_of_mask

OTHER = ""
"""The template of lines beyond the bound, and of lines whose text may not be shown."""
MAX_PATTERNS = 100
MAX_CHARACTERS = 400
"""Of a masked line that are looked at."""
MAX_TEMPLATE_CHARACTERS = 1000
"""As long as the longest: masks may be longer than what they stand for."""
_LEAST_SIMILARITY = 0.6
_MAX_FIRST_WORDS = 16
_MAX_KNOWN = 4096
_WILDCARD = "<*>"

_MARK = re.compile(r"\[([A-Z][A-Z0-9_]+):[^\]\s]*\]")
_VARYING = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b(?=[a-fA-F]*[0-9])[0-9a-fA-F]{8,}\b|\d+(?:[.:,]\d+)*"
)
_WORD = re.compile(r"[^\s,;:={}\"()|&?/\[\]]+")


@dataclass(slots=True)
class Pattern:
    shape: str
    """The line without its words."""
    words: list[str]
    entries: int = 0
    size_bytes: int = 0
    tokens: int = 0
    sqs_blocks: int = 0

    @property
    def template(self) -> str:
        pieces = self.shape.split("\0")
        text = "".join(piece + word for piece, word in zip(pieces, [*self.words, ""], strict=True))
        return text[:MAX_TEMPLATE_CHARACTERS]

    def clear(self) -> None:
        """Forgets the counts, and keeps the template."""
        self.entries = self.size_bytes = self.tokens = self.sqs_blocks = 0

    def _similarity(self, words: list[str]) -> float:
        same = sum(mine in (_WILDCARD, other) for mine, other in zip(self.words, words, strict=True))
        return same / len(words)

    def _absorb(self, words: list[str]) -> bool:
        """Whether the template changed."""
        merged = [mine if mine == other else _WILDCARD for mine, other in zip(self.words, words, strict=True)]
        changed = merged != self.words
        self.words = merged
        return changed


@dataclass(slots=True)
class PatternMiner:
    """The templates of one scenario, in bounded memory."""

    max_patterns: int = MAX_PATTERNS
    _by_shape: dict[str, dict[str, list[Pattern]]] = field(default_factory=dict)
    """By shape, then by the first word that says something."""
    _known: dict[str, Pattern] = field(default_factory=dict)
    """What masked lines were sorted into before: most come again."""
    _other: Pattern = field(default_factory=lambda: Pattern("", []))
    _count: int = 0

    def add(self, text: str, size_bytes: int, tokens: int, sqs_blocks: int, entries: int = 1) -> None:
        """Counts what `entries` lines like `text` have together. `text`: a redacted line, a template, or OTHER."""
        pattern = self._find(text)
        pattern.entries += entries
        pattern.size_bytes += size_bytes
        pattern.tokens += tokens
        pattern.sqs_blocks += sqs_blocks

    def patterns(self) -> list[Pattern]:
        """Those with a count, in no order; what could not be told apart has the template OTHER."""
        found = [pattern for firsts in self._by_shape.values() for patterns in firsts.values() for pattern in patterns]
        return [pattern for pattern in (*found, self._other) if pattern.entries]

    def _find(self, text: str) -> Pattern:
        if not text:
            return self._other
        masked = mask_varying(text[: 4 * MAX_CHARACTERS])[:MAX_CHARACTERS]
        known = self._known.get(masked)
        if known is None:
            known = self._sort(masked)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[masked] = known
        return known

    def _sort(self, masked: str) -> Pattern:
        words = _WORD.findall(masked)
        shape = _WORD.sub("\0", masked)
        firsts = self._by_shape.get(shape, {})
        first = next((word for word in words if _says_something(word)), "")
        if first not in firsts and len(firsts) >= _MAX_FIRST_WORDS:  # then it varies, as a name does
            first = _WILDCARD
        candidates = firsts.get(first, [])
        if words:
            best = max(candidates, key=lambda pattern: pattern._similarity(words), default=None)  # noqa: SLF001
            if best is not None and best._similarity(words) >= _LEAST_SIMILARITY:  # noqa: SLF001
                best._absorb(words)  # noqa: SLF001
                return best
        elif candidates:
            return candidates[0]
        if self._count >= self.max_patterns:
            return self._other
        self._count += 1
        pattern = Pattern(shape, words)
        self._by_shape.setdefault(shape, firsts).setdefault(first, []).append(pattern)
        return pattern


def _says_something(word: str) -> bool:
    return word == _WILDCARD or any(map(str.isalpha, word.replace("<n>", "")))


def mine_lines(miner: PatternMiner, lines: LineColumns, step: int = 1) -> int:
    """Adds each `step`th line of a request, standing for those up to the next; answers how many were looked at."""
    count = len(lines.index)
    positions = range(0, count, step)
    for at in positions:
        others = (lines.attributes[at] or "", lines.source[at], lines.level[at])
        text = minable_text(lines.message[at], lines.pii_mask[at], others)
        weight = min(step, count - at)
        miner.add(
            text, lines.size_bytes[at] * weight, lines.token_count[at] * weight, lines.sqs_blocks[at] * weight, weight
        )
    return len(positions)


def mask_varying(text: str) -> str:
    """Without what is sure to vary from line to line, and without line breaks and NUL."""
    text = " ".join(text.replace("\0", "").split())
    if ":" in text:
        text = _MARK.sub(r"[\1]", text)
    return _VARYING.sub("<n>", text)


def minable_text(message: str, pii_mask: int, others: Iterable[str]) -> str:
    """The redacted message, or OTHER where a type found in the line has no mark in it: then its policy shows the value.

    `others`: the line's redacted attributes and labels, where a finding may be instead.
    """
    if not pii_mask:
        return message
    shown = " ".join([message, *others])
    unmarked = [name for name in types_of_mask(pii_mask) if f"[{name}" not in shown]
    # a dropped value's mark names no type: it can account for one
    return message if len(unmarked) <= ("DROPPED]" in shown) else OTHER
