"""The policy of a tenant as it is written, stored and shown: a JSON object, checked as a whole. Pure.

{
  "actions": {"EMAIL": "hash", "IPV4": "flag", "API_TOKEN": "encrypt"},
  "allow": [{"type": "EMAIL", "value": "no-reply@example.com"}, {"type": "EMAIL", "pattern": "*@test.example.com"}],
  "fields": [{"path": "attributes.user.id", "treat_as": "EMAIL"}, {"path": "attributes.trace_id", "never_scan": true}],
  "persons": {"share": 0.01},
  "shadow": {"actions": {"IPV4": "drop"}, "rules": ["phone.hinted"]}
}
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from mockupaws.runtime.errors import PermanentError
from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.detect_pii.table import SHADOW_RULES
from mockupaws.stream_processors.policies.select_fields import SelectorError, names_of
from mockupaws.stream_processors.policies.tenant_keys import FIRST_KEY, LAST_KEY, TenantKey

Action = Literal["mask", "hash", "encrypt", "drop", "drop_line", "flag"]
"""mask       [EMAIL]; of a payment card the last four digits stay
hash       [EMAIL:h:3f2a90c1d4e5b677]: equal values of the tenant have equal marks, and can be searched for
encrypt    [EMAIL:e:…]: as hash, and can be revealed by who may, for a stated reason, on the record
drop       [DROPPED]: not even the type is told where it stood
drop_line  the whole text of the entry becomes [LINE_DROPPED]; it is still counted and priced
flag       the text stays as it is; the line is marked as holding the type
"""
ACTIONS: tuple[str, ...] = get_args(Action)
KEYED_ACTIONS = frozenset(("hash", "encrypt"))

MAX_ALLOWED = 500
MAX_FIELDS = 100
MAX_SHADOW_RULES = 50
LEAST_LITERALS = 4
"""Characters other than `*` that a pattern of the allow list must have: `*` alone would allow everything."""


class PolicyError(PermanentError):
    """A policy document can't be taken; the message names the place and what to write there."""


class AllowedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is no personal data for this tenant. Exactly one of value, digest and pattern."""

    type: str
    value: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    """Compared once both are normalised (case, separators, escapes). Stored as `digest` only."""
    digest: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None = None
    """An allowed value as it is shown again: a keyed hash."""
    key: Annotated[int, Meta(ge=FIRST_KEY, le=LAST_KEY)] = FIRST_KEY
    """Number of the tenant's key that the digest was made under."""
    pattern: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """`*` stands for any characters; the whole normalised value must fit. Stored as written."""


class FieldRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a field of the attributes holds, whatever the scan says. Exactly one of treat_as and never_scan."""

    path: str
    """See select_fields: `attributes.user.email`, `*` for one name."""
    treat_as: str | None = None
    """The type that each value there is, whatever it looks like."""
    never_scan: bool = False
    """Nothing there is looked at, or changed."""


class Shadow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is only counted: how many lines and findings it would act on."""

    actions: dict[str, Action] = {}
    """Actions that are thought of, by type."""
    rules: Annotated[list[str], Meta(max_length=MAX_SHADOW_RULES)] = []
    """Rules that find nothing for this tenant, but are counted: what they alone would find. Also those asleep."""


class Persons(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """That names of persons are looked for, which nobody's lines are without it."""

    share: Annotated[float, Meta(gt=0, le=1)]
    """Of the ingest requests: 1 examines all of them, 0.01 one in a hundred."""


class PolicyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    actions: dict[str, Action] = {}
    """By type; `mask` for each type that is left out."""
    allow: Annotated[list[AllowedValue], Meta(max_length=MAX_ALLOWED)] = []
    fields: Annotated[list[FieldRule], Meta(max_length=MAX_FIELDS)] = []
    persons: Persons | None = None
    """None: not looked for."""
    shadow: Shadow = Shadow()

    @property
    def needs_key(self) -> bool:
        """Whether it can't be applied without the tenant's key."""
        return any(action in KEYED_ACTIONS for action in self.actions.values()) or any(
            allowed.pattern is None for allowed in self.allow
        )


def read_policy(document: Any) -> PolicyDocument:
    """A decoded JSON object as a policy. Raises PolicyError naming what is wrong with it."""
    try:
        policy = msgspec.convert(document, PolicyDocument)
    except msgspec.ValidationError as error:
        raise PolicyError(str(error)) from None
    check_policy(policy)
    return policy


def check_policy(policy: PolicyDocument) -> None:
    """Raises PolicyError where a type, selector or pattern can't be."""
    _check_types("$.actions", policy.actions)
    _check_types("$.shadow.actions", policy.shadow.actions)
    for number, rule in enumerate(policy.shadow.rules):
        if rule not in SHADOW_RULES:
            near = difflib.get_close_matches(rule, SHADOW_RULES, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "docs/detectors.md lists them"
            raise PolicyError(f"`$.shadow.rules[{number}]`: `{rule[:50]}` is no rule; {hint}")
    for number, allowed in enumerate(policy.allow):
        _check_allowed(f"$.allow[{number}]", allowed)
    for number, field in enumerate(policy.fields):
        _check_field(f"$.fields[{number}]", field)


def with_digests(policy: PolicyDocument, key: TenantKey) -> PolicyDocument:
    """The policy as it is stored: each allowed value as its keyed hash under the tenant's newest key."""
    allow = [
        a if a.value is None else AllowedValue(type=a.type, digest=key.allow_digest(a.type, a.value), key=key.number)
        for a in policy.allow
    ]
    return msgspec.structs.replace(policy, allow=allow)


def _check_allowed(place: str, allowed: AllowedValue) -> None:
    _check_types(f"{place}.type", [allowed.type])
    if sum(given is not None for given in (allowed.value, allowed.digest, allowed.pattern)) != 1:
        raise PolicyError(f"`{place}`: state one of `value`, `pattern` and `digest`")
    if allowed.pattern is not None and len(allowed.pattern.replace("*", "")) < LEAST_LITERALS:
        raise PolicyError(
            f"`{place}.pattern`: needs {LEAST_LITERALS} characters other than `*`; to keep every {allowed.type}, "
            f"set its action to `flag`"
        )


def _check_field(place: str, field: FieldRule) -> None:
    try:
        names_of(field.path)
    except SelectorError as error:
        raise PolicyError(f"`{place}.path` {error}") from None
    if (field.treat_as is not None) == field.never_scan:
        raise PolicyError(f'`{place}`: state one of `"treat_as": "EMAIL"` (or another type) and `"never_scan": true`')
    if field.treat_as is not None:
        _check_types(f"{place}.treat_as", [field.treat_as])


def _check_types(place: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in PII_TYPES:
            near = difflib.get_close_matches(name.upper(), PII_TYPES, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"the types are {', '.join(PII_TYPES)}"
            raise PolicyError(f"`{place}`: `{name[:50]}` is no type; {hint}")
