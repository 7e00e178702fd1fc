"""Given and family names of some forty languages, and words that begin with a capital but are none.

The names are those of the mimesis data sets (MIT), read as files: nothing is generated. They are read at the first
question, which only tenants who look for persons ask; about 65,000 names take 10 MB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

_MIXED_SCRIPTS = ("ja", "ko", "zh")
"""Written without spaces between words: capitals don't tell names there."""


class KnownNames(NamedTuple):
    """Casefolded."""

    given: frozenset[str]
    family: frozenset[str]

    def knows(self, word: str) -> bool:
        folded = word.casefold()
        return folded in self.given or folded in self.family

    def is_given(self, word: str) -> bool:
        return word.casefold() in self.given or all(
            part.casefold() in self.given for part in word.split("-") if "-" in word
        ) == ("-" in word)

    def is_family(self, word: str) -> bool:
        return word.casefold() in self.family


@cache
def known_names() -> KnownNames:
    given: set[str] = set()
    family: set[str] = set()
    for folder in (files("mimesis") / "datasets").iterdir():
        persons = folder / "person.json"
        if folder.name in _MIXED_SCRIPTS or not persons.is_file():
            continue
        data = json.loads(persons.read_text("utf-8"))
        given.update(_words(data.get("names", {})))
        family.update(_words(data.get("surnames", [])))
    return KnownNames(frozenset(given - NO_NAMES), frozenset(family - NO_NAMES))


def _words(names: Any) -> Iterable[str]:
    """Each name of a list, or of the lists of an object, casefolded; of those of several words, each longer word."""
    lists = names.values() if isinstance(names, dict) else [names]
    for name in (name for names in lists for name in names):
        for word in name.split():
            if len(word) > 1:
                yield word.casefold()


NO_NAMES = frozenset(files(__package__).joinpath("no_names.txt").read_text("ascii").split())
"""Common in logs with a capital, or behind a name in the name of a place or company; some are names, too."""
