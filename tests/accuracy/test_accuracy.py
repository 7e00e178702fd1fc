"""The bars that the detectors hold on the labelled lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockupaws.schemas.pii_types import PII_TYPES
from tests.accuracy.corpus import FOLDER, generate, read
from tests.accuracy.crossed import generate_crossed
from tests.accuracy.foreign_values import FOREIGN_VALUES
from tests.accuracy.measure import PERSON_SETS, SETS, WITH_PERSONS, lines_of, ours, report, score

_SECRETS = ("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "JWT", "PRIVATE_KEY", "API_TOKEN", "PASSWORD", "URL_CREDENTIALS")
_PROSE_F1 = 0.95
_PERSON_PRECISION = 0.95
_FEWEST_LINES = 3_000


def _bar(pii_type: str) -> tuple[float, float]:
    """Least precision and recall."""
    if pii_type == "PHONE":
        return 0.95, 0.95
    return (0.97, 0.97) if pii_type in _SECRETS else (0.99, 0.98)


@pytest.mark.parametrize("name", ["development", "heldout", "foreign"])
def test_each_type_holds_its_bar(name: str) -> None:
    files, types = next((files, types) for each, _, files, types in SETS if each == name)
    lines = lines_of(files)
    scores, _ = score(lines, ours([line.text for line in lines]), types)
    below = {
        pii_type: (figures.precision(figures.right), figures.recall(figures.right))
        for pii_type, figures in scores.items()
        if pii_type != "micro"
        and (figures.precision(figures.right) < _bar(pii_type)[0] or figures.recall(figures.right) < _bar(pii_type)[1])
    }
    assert below == {}


def test_crossed_lines_hold_the_bar_of_all_types_together_and_of_secrets_and_telephone_numbers() -> None:
    lines = lines_of(("crossed.jsonl",))
    scores, _ = score(lines, ours([line.text for line in lines]), PII_TYPES)
    micro = scores["micro"]
    assert micro.precision(micro.right) >= 0.99
    assert micro.recall(micro.right) >= 0.99
    for pii_type in (*_SECRETS, "PHONE"):
        figures, (precision, recall) = scores[pii_type], _bar(pii_type)
        assert figures.precision(figures.right) >= precision, pii_type
        assert figures.recall(figures.right) >= recall, pii_type


@pytest.mark.parametrize("name", ["prose-development", "prose-heldout"])
def test_prose_holds_its_bar(name: str) -> None:
    files, types = next((files, types) for each, _, files, types in SETS if each == name)
    lines = lines_of(files)
    micro = score(lines, ours([line.text for line in lines]), types)[0]["micro"]
    assert micro.f(micro.right, 1) >= _PROSE_F1


def test_names_are_found_surely_or_not_at_all() -> None:
    for name, _, files in PERSON_SETS:
        lines = lines_of(files)
        figures = score(lines, ours([line.text for line in lines], WITH_PERSONS), ("PERSON",))[0]["micro"]
        assert figures.precision(figures.right) >= _PERSON_PRECISION, name


def test_lines_are_enough_and_are_those_of_their_templates() -> None:
    assert sum(len(lines_of(files)) for name, _, files, _ in SETS if not name.startswith("prose")) >= _FEWEST_LINES
    for name, seed in (("development", 11), ("heldout", 23), ("unseen", 31)):
        assert read(FOLDER / f"{name}.jsonl") == list(generate(FOLDER / f"{name}_templates.txt", seed, 10))
    foreign = generate(FOLDER / "foreign_templates.txt", 47, 3, FOREIGN_VALUES)
    assert read(FOLDER / "foreign.jsonl") == list(foreign)
    assert read(FOLDER / "crossed.jsonl") == list(generate_crossed())
    persons = generate(FOLDER / "person_templates.txt", 53, 5, FOREIGN_VALUES)
    assert read(FOLDER / "person.jsonl") == list(persons)


def test_the_page_tells_the_figures_of_today() -> None:
    assert Path("docs/accuracy.md").read_text("utf-8") == report(), "run `make accuracy`"
