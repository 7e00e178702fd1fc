"""What would be allowed, where msgspec says only what isn't. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

_REFUSAL = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[[^\]]*\]")
_TIME = "2026-11-26T05:00:00Z"
"""With Z: the plus of another zone is a space in a query that isn't escaped."""
_NAMED = 40
"""Names of fields that a message lists, at most."""


def explained(message: str, kind: type[msgspec.Struct]) -> str:
    """`message` of a ValidationError about a `kind`, and which fields, values or forms it takes there."""
    matched = _REFUSAL.fullmatch(message)
    assert matched is not None
    what, path = matched["what"], matched["path"]
    hint = _hint(what, _at(_type_of(kind), path or "$"))
    return f"{what}{hint} - at `{path}`" if path else f"{what}{hint}"


def _hint(what: str, expected: list[inspect.Type]) -> str:
    if what.startswith("Object contains unknown field"):
        names = [
            field.encode_name for each in expected if isinstance(each, inspect.StructType) for field in each.fields
        ]
        return _listed("; it takes ", names) if names else "; it takes none"
    if what.startswith("Invalid enum value"):
        return _listed(
            "; use ", [str(v) for each in expected if isinstance(each, inspect.LiteralType) for v in each.values]
        )
    if " matching regex " in what:
        examples = [str(example) for each in expected for example in _examples(each)]
        return _listed("; such as ", examples)
    if "datetime" in what:
        return _listed("; such as ", [_TIME])
    return ""


def _listed(words: str, names: list[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return words + ", ".join(f"`{name}`" for name in names[:_NAMED]) + more if names else ""


def _examples(kind: inspect.Type) -> list[Any]:
    if isinstance(kind, inspect.Metadata):
        examples: list[Any] = (kind.extra_json_schema or {}).get("examples", [])
        return examples
    return []


@cache
def _type_of(kind: type[msgspec.Struct]) -> inspect.Type:
    return inspect.type_info(kind)


def _at(kind: inspect.Type, path: str) -> list[inspect.Type]:
    """What may stand there."""
    expected = _alternatives(kind)
    for step in _STEP.finditer(path):
        below: list[inspect.Type] = []
        for each in expected:
            if isinstance(each, inspect.StructType) and step[1] is not None:
                below += [field.type for field in each.fields if field.encode_name == step[1]]
            elif isinstance(each, inspect.DictType):
                below.append(each.value_type)
            elif isinstance(each, inspect.ListType | inspect.VarTupleType | inspect.SetType):
                below.append(each.item_type)
        expected = [alternative for each in below for alternative in _alternatives(each)]
    return expected


def _alternatives(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.UnionType):
        return [alternative for each in kind.types for alternative in _alternatives(each)]
    if isinstance(kind, inspect.Metadata):
        return [kind, *_alternatives(kind.type)]
    return [kind]
