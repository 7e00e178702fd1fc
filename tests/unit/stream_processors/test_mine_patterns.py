"""Lines of one kind come together, in bounded memory; a template tells nothing a policy would hide."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.schemas.pii_types import PII_BIT
from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.mine_patterns import OTHER, PatternMiner, mask_varying, minable_text

_WORDS = st.lists(
    st.sampled_from(["order", "failed", "a", "user=b", "[EMAIL]", "12", "x7", "{", "}", "é", "/"]), max_size=9
)


def mined(lines: list[str], max_patterns: int = 100) -> dict[str, int]:
    miner = PatternMiner(max_patterns)
    for line in lines:
        miner.add(line, len(line), 3, 1)
    return {pattern.template: pattern.entries for pattern in miner.patterns()}


def test_what_varies_is_masked_and_words_that_differ_become_wildcards() -> None:
    lines = [f"order {n} of customer anna{n} accepted in {n} ms" for n in range(50)]
    lines += [f"payment by {name} of order {7} was declined today" for name in ("visa", "amex", "giro")]
    lines += ["3f2504e0-4f89-11d3-9a0c-0305e82c3301 deadbeef12 gone"]
    assert mined(lines) == {
        "order <n> of customer anna<n> accepted in <n> ms": 50,
        "payment by <*> of order <n> was declined today": 3,
        "<n> <n> gone": 1,
    }


def test_the_first_word_tells_lines_apart_unless_it_varies() -> None:
    lines = [f"{verb} package of repository {n}" for verb in ("install", "remove") for n in range(9)]
    lines += [f"{name} logged in at noon" for name in map(chr, range(97, 123))]
    found = mined(lines)
    assert (found["install package of repository <n>"], found["remove package of repository <n>"]) == (9, 9)
    assert found["<*> logged in at noon"] == 26 - 14  # 16 first words of one punctuation are told apart


def test_json_lines_are_told_apart_by_their_keys_and_words() -> None:
    lines = [f'{{"msg":"job done","queue":"q{n}","ms":{n}}}' for n in range(20)] + ['{"error":"timeout"}'] * 2
    assert mined(lines) == {'{"msg":"job done","queue":"q<n>","ms":<n>}': 20, '{"error":"timeout"}': 2}


def test_beyond_the_bound_lines_are_counted_together() -> None:
    lines = [f"{'word ' * count}end" for count in range(30)]
    found = mined(lines, max_patterns=10)
    assert len(found) == 11
    assert found[OTHER] == 20
    miner = PatternMiner(10)
    for line in lines:
        miner.add(line, 1, 1, 1)
    assert len(miner._by_shape) == 10


@given(st.lists(_WORDS.map(" ".join), max_size=30), st.integers(0, 30))
def test_nothing_is_lost_and_parts_mined_apart_add_up(lines: list[str], cut: int) -> None:
    parts = [mined(lines[:cut]), mined(lines[cut:])]
    miner = PatternMiner()
    for part in parts:
        for template, entries in part.items():
            miner.add(template, 0, 0, 0, entries)
    assert sum(pattern.entries for pattern in miner.patterns()) == len(lines)


@given(st.text(max_size=300))
def test_a_template_holds_no_digit_and_masking_again_changes_nothing(text: str) -> None:
    masked = mask_varying(text)
    assert not re.search(r"[\d\0\n]", masked)
    assert mask_varying(masked) == masked


@pytest.mark.parametrize(
    "value",
    ["ada.lovelace@example.com", "4111 1111 1111 1111", "203.0.113.77", "DE89370400440532013000", "+39 347 123 4567"],
)
def test_personal_data_never_reaches_a_template(value: str) -> None:
    analyser = Analyser()
    miner = PatternMiner()
    for count in range(5):
        entry = analyser.analyse_entry(Entry(f"customer {value} was seen {count} times", source="shop"))
        assert entry.pii_mask
        miner.add(minable_text(entry.message, entry.pii_mask, ()), 1, 1, 1)
    (pattern,) = miner.patterns()
    assert "[" in pattern.template
    assert not set(re.findall(r"[a-z0-9@.]{4,}", value.lower())) & set(re.findall(r"[a-z0-9@.]{4,}", pattern.template))


def test_a_line_whose_policy_shows_what_was_found_is_counted_without_its_text() -> None:
    flagged = PII_BIT["EMAIL"]
    assert minable_text("mail of ada@example.com", flagged, ("", "shop")) == OTHER
    assert minable_text("mail of [EMAIL:h:00112233aabbccdd]", flagged, ()) != OTHER
    assert minable_text("mail sent", flagged, ('{"to":"[EMAIL]"}',)) == "mail sent"
    assert minable_text("mail of [DROPPED]", flagged, ()) != OTHER
    assert minable_text("[DROPPED] ada@example.com", flagged | PII_BIT["IBAN"], ()) == OTHER


def test_a_keyed_mark_shows_only_its_type() -> None:
    assert mask_varying("user [EMAIL:h:00112233aabbccdd] card [CREDIT_CARD:1111]") == "user [EMAIL] card [CREDIT_CARD]"


def test_many_lines_take_bounded_memory() -> None:
    choose = random.Random(1)
    miner = PatternMiner()
    for _ in range(10_000):
        miner.add(" ".join(choose.choice("abcdefgh") * choose.randrange(1, 6) for _ in range(6)), 1, 1, 1)
    assert len(miner.patterns()) <= miner.max_patterns + 1
