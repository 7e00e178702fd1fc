"""Where a search looks: everywhere but where blocks are known to lack what is wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mockupaws.api.search_blocks import Span, spans_to_look_at, wanted_of
from mockupaws.archive.text_filter import places_of

START = datetime(2026, 3, 5, tzinfo=UTC)


def span(bounds: tuple[int, int]) -> Span:
    return Span(START + timedelta(hours=bounds[0]), START + timedelta(hours=bounds[1]))


SPAN = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda pair: span((min(pair), max(pair))))


@given(SPAN, st.lists(SPAN, max_size=6), st.lists(SPAN, max_size=6))
def test_only_what_is_covered_and_no_candidate_is_left_out(
    window: Span, covered: list[Span], candidates: list[Span]
) -> None:
    spans = spans_to_look_at(window, covered, candidates)
    for half_hour in range(42):
        moment = START + timedelta(minutes=30 * half_hour)
        inside, is_covered, is_candidate = (
            any(each.since <= moment < each.until for each in of) for of in ([window], covered, candidates)
        )
        looked_at = any(each.since <= moment < each.until for each in spans)
        assert looked_at == (inside and (not is_covered or is_candidate))
    assert all(one.until < other.since for one, other in pairwise(spans))


def test_what_is_wanted() -> None:
    assert wanted_of("ab", None, None) is None
    assert wanted_of(None, '{"n": 12345}', None) is None
    assert wanted_of(None, None, []) is None
    wanted = wanted_of("Rare", '{"request": {"id": ["7f3a9"]}, "n": 1}', None)
    assert wanted is not None
    assert set(wanted.places) == {place for text in ("Rare", "request", "7f3a9") for place in places_of(text)}
    marked = wanted_of(None, None, ["[EMAIL:h:0123456789abcdef]", "[IPV4:h:0123456789abcdef]"])
    assert marked is not None
    assert (marked.places, len(marked.marks)) == ([], 2)
