"""The labelled lines: how templates become them, and how they are kept (one JSON object a line)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.accuracy.foreign_values import FOREIGN_VALUES
from tests.accuracy.noise import NOISE
from tests.accuracy.values import VALUES

FOLDER = Path(__file__).parent
_SLOT = re.compile(r"«([A-Z0-9_]+)(:[a-z0-9_]+)?(\|[a-z]+)?»|‹([a-z0-9_]+)›")
_LINE_END = "⏎"
Values = Mapping[str, Callable[[Random], str]]
_ENCODINGS: dict[str, Callable[[str], str]] = {
    "percent": lambda value: quote(value, safe="'"),
    "unicode": lambda value: value.replace("@", r"\u0040"),
    "twice": lambda value: quote(quote(value, safe="'"), safe="'"),
    "html": lambda value: value.replace("@", "&#64;"),
    "hexhtml": lambda value: value.replace("@", "&#x40;"),
    "slashes": lambda value: value.replace("/", r"\/"),
    "xml": lambda value: escape(value, {'"': "&quot;"}),
    "json": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "escaped": lambda value: "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in value),
}


class Label(NamedTuple):
    """What a line holds, in characters."""

    start: int
    end: int
    pii_type: str


class Line(NamedTuple):
    text: str
    labels: tuple[Label, ...]
    origin: str
    """Number of the template, or the file it came from."""


def fill(template: str, origin: str, r: Random, values: Values = VALUES, noise: Values = NOISE) -> Line:
    """One line of a template. Raises KeyError for a slot that nothing fills."""
    pieces: list[str] = []
    labels: list[Label] = []
    length, position = 0, 0
    for slot in _SLOT.finditer(template):
        pieces.append(template[position : slot.start()].replace(_LINE_END, "\n"))
        length += len(pieces[-1])
        pii_type, variant, encoding, plain = slot.groups()
        value = noise[plain](r) if plain else values[pii_type + (variant or "")](r)
        value = value.replace(_LINE_END, "\n")
        if encoding:
            value = _ENCODINGS[encoding[1:]](value)
        if pii_type:
            labels.append(Label(length, length + len(value), pii_type))
        pieces.append(value)
        length += len(value)
        position = slot.end()
    pieces.append(template[position:].replace(_LINE_END, "\n"))
    return Line("".join(pieces), tuple(labels), origin)


def generate(templates: Path, seed: int, each: int, values: Values = VALUES, noise: Values = NOISE) -> Iterator[Line]:
    """`each` lines of every template in the file."""
    r = Random(seed)
    lines = templates.read_text("utf-8").splitlines()
    for number, template in enumerate(lines, 1):
        if template.strip() and not template.startswith("# "):
            for _ in range(each):
                yield fill(template, str(number), r, values, noise)


def write(path: Path, lines: Iterable[Line]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(
                json.dumps([line.text, line.labels, line.origin], ensure_ascii=False, separators=(",", ":")) + "\n"
            )


def read(path: Path) -> list[Line]:
    lines = []
    for row in path.read_text("utf-8").split("\n"):
        if row:
            text, labels, origin = json.loads(row)
            lines.append(Line(text, tuple(Label(*label) for label in labels), origin))
    return lines


if __name__ == "__main__":
    write(FOLDER / "development.jsonl", generate(FOLDER / "development_templates.txt", 11, 10))
    write(FOLDER / "heldout.jsonl", generate(FOLDER / "heldout_templates.txt", 23, 10))
    write(FOLDER / "unseen.jsonl", generate(FOLDER / "unseen_templates.txt", 31, 10))
    write(FOLDER / "person.jsonl", generate(FOLDER / "person_templates.txt", 53, 5, FOREIGN_VALUES))
    write(FOLDER / "foreign.jsonl", generate(FOLDER / "foreign_templates.txt", 47, 3, FOREIGN_VALUES))
