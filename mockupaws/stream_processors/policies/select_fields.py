"""Selectors of attributes: `attributes.user.email`, `attributes.*.token`, `attributes.request.headers.*`. Pure.

A selector is `attributes`, then one or more names, joined by dots. `*` stands for exactly one name. Names are compared
as they are written, and by their dotted path, so `{"user": {"email": …}}` and `{"user.email": …}` are selected alike.
Items of a list have the path of the list. A selector that ends at an object means everything below it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

ROOT = "attributes"
MAX_SELECTOR = 500
MAX_NAMES = 32

Meaning = TypeVar("Meaning")


class SelectorError(ValueError):
    """A selector can't be read; the message says why."""


def names_of(selector: str) -> tuple[str, ...]:
    """The names behind `attributes`. Raises SelectorError."""
    root, *names = selector.split(".")
    if root != ROOT or not names:
        raise SelectorError(f"must start with `{ROOT}.` and name a field, such as `{ROOT}.user.email`")
    if len(selector) > MAX_SELECTOR or len(names) > MAX_NAMES:
        raise SelectorError(f"may have {MAX_SELECTOR} characters and {MAX_NAMES} names")
    if "" in names:
        raise SelectorError("has an empty name: two dots in a row, or one at the end")
    if any("*" in name and name != "*" for name in names):
        raise SelectorError("`*` stands for a whole name")
    return tuple(names)


class FieldSelector(Generic[Meaning]):
    """What the selectors say of a path. Of several that fit, the one with fewer `*` holds, then the earlier one."""

    def __init__(self, selectors: Iterable[tuple[str, Meaning]]) -> None:
        self._exact: dict[str, Meaning] = {}
        self._wild: list[tuple[tuple[str, ...], Meaning]] = []
        for selector, meaning in selectors:
            names = names_of(selector)
            if "*" in names:
                self._wild.append((names, meaning))
            else:
                self._exact.setdefault(".".join(names), meaning)
        self._wild.sort(key=lambda wild: wild[0].count("*"))

    def __bool__(self) -> bool:
        return bool(self._exact or self._wild)

    def meaning_of(self, path: str) -> Meaning | None:
        """`path`: the names joined by dots, without `attributes`."""
        exact = self._exact.get(path)
        if exact is not None or not self._wild:
            return exact
        names = path.split(".")
        for wanted, meaning in self._wild:
            if len(wanted) == len(names) and all(w in ("*", name) for w, name in zip(wanted, names, strict=True)):
                return meaning
        return None
