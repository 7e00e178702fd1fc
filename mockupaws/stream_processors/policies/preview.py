"""What a candidate policy would change: a sample analysed by the policy in force and by the candidate. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import AnalysedEntry, Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy

MAX_EXAMPLES = 20


class TypeImpact(msgspec.Struct, frozen=True):
    action: str
    lines: int
    """Lines with at least one finding of the type."""


class RuleImpact(msgspec.Struct, frozen=True):
    lines: int
    findings: int


class Impact(msgspec.Struct, frozen=True):
    """Of one policy on the sample."""

    lines_with_findings: int
    types: dict[str, TypeImpact]


class Example(msgspec.Struct, frozen=True):
    """A line that the two policies store differently, as each stores it."""

    index: int
    before: str
    after: str
    before_attributes: msgspec.Raw | None = None
    after_attributes: msgspec.Raw | None = None


class Preview(msgspec.Struct, frozen=True):
    lines: int
    changed_lines: int
    before: Impact
    after: Impact
    shadow: dict[str, TypeImpact]
    """What the candidate's shadow actions would act on."""
    shadow_rules: dict[str, RuleImpact]
    """What its shadow rules would find that the others don't, by rule and version."""
    examples: list[Example]


def preview(analyser: Analyser, entries: Sequence[Entry], before: CompiledPolicy, after: CompiledPolicy) -> Preview:
    by_before = analyser.analyse_entries(entries, before)
    by_after = analyser.analyse_entries(entries, after)
    changed = [
        (index, old, new)
        for index, (old, new) in enumerate(zip(by_before, by_after, strict=True))
        if _stored(old) != _stored(new)
    ]
    found = _lines_of_types(by_after)
    return Preview(
        len(entries),
        len(changed),
        _impact(by_before, before),
        _impact(by_after, after),
        {pii_type: TypeImpact(action, found[pii_type]) for pii_type, action in after.shadow_actions.items()},
        _shadow_rules(by_after),
        [
            Example(index, old.message, new.message, _raw(old.attributes), _raw(new.attributes))
            for index, old, new in changed[:MAX_EXAMPLES]
        ],
    )


def _shadow_rules(analysed: Sequence[AnalysedEntry]) -> dict[str, RuleImpact]:
    findings = Counter(name for entry in analysed for name in entry.shadow if "@" in name)
    lines = Counter(name for entry in analysed for name in set(entry.shadow))
    return {rule: RuleImpact(lines[rule], count) for rule, count in sorted(findings.items())}


def _impact(analysed: Sequence[AnalysedEntry], policy: CompiledPolicy) -> Impact:
    types = {name: TypeImpact(policy.action_of(name), count) for name, count in _lines_of_types(analysed).items()}
    return Impact(sum(entry.pii_mask != 0 for entry in analysed), types)


def _lines_of_types(analysed: Sequence[AnalysedEntry]) -> Counter[str]:
    return Counter(pii_type for entry in analysed for pii_type in types_of_mask(entry.pii_mask))


def _stored(entry: AnalysedEntry) -> tuple[str, str, str, str | None, int]:
    return entry.message, entry.source, entry.level, entry.attributes, entry.pii_mask


def _raw(attributes: str | None) -> msgspec.Raw | None:
    return None if attributes is None else msgspec.Raw(attributes.encode())
