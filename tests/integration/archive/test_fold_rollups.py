"""Summaries say what the minutes say, before and after they are folded, and when lines come late."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from datetime import UTC, datetime

import msgspec

from mockupaws.api.summaries import Window, find_coverage, measured_counts, measured_series, quantities_of
from mockupaws.archive.fold_rollups import Folded, fold_rollups
from mockupaws.cost_model.quantities import quantities_of_deltas
from mockupaws.runtime.postgres import Connection, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import AnalysedRequest
from mockupaws.schemas.distributions import add_counts
from mockupaws.schemas.rollups import ROLLUP_METRICS
from mockupaws.stream_processors.roll_up import merge, roll_up
from tests.integration.sinks.sink_process import (
    SCENARIO,
    TENANT,
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)

STORED = "SELECT coalesce(sum(stored), 0) FROM ingest_receipts"
ENTRIES = next(metric for metric in ROLLUP_METRICS if metric[:2] == ("ingest", "entries"))
HOUR_US = 3_600_000_000
COUNTED = [("ingest", "bytes"), ("bedrock", "tokens"), ("sqs", "blocks"), ("ingest", "entries")]


def request_at(received_at_us: int, lines: int) -> AnalysedRequest:
    request = analysed_request([f"line {n}" * (1 + n % 3) for n in range(lines)], received_at_us=received_at_us)
    columns = msgspec.structs.replace(request.lines, source=["app" if n % 3 else "db" for n in range(lines)])
    return msgspec.structs.replace(request, lines=columns, deltas=roll_up(received_at_us, columns))


def moment(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC)


async def assert_exact(connection: Connection, requests: list[AnalysedRequest], window: Window) -> int:
    """The window's figures are those of the requests in it; answers how many summaries served."""
    inside = [
        request
        for request in requests
        if (window.since is None or moment(request.received_at_us // 60_000_000 * 60_000_000) >= window.since)
        and (window.to is None or moment(request.received_at_us // 60_000_000 * 60_000_000) < window.to)
    ]
    deltas = merge([delta for request in inside for delta in request.deltas])
    coverage = await find_coverage(connection, window)
    assert await quantities_of(connection, coverage) == quantities_of_deltas(deltas)
    counts = await measured_counts(connection, coverage, COUNTED)
    for metric in COUNTED[:3]:
        parts = [delta.counts for delta in deltas if (delta.metric_type, delta.metric_name) == metric and delta.counts]
        assert dict(sorted(counts[metric].items())) == add_counts(parts), metric
    seconds = Counter(request.received_at_us // 1_000_000 for request in inside for _ in request.lines.index)
    assert counts["ingest", "entries"] == Counter(seconds.values())
    for step in (60, 300, 3600, 7200, 86_400):
        steps: Counter[int] = Counter()
        for request in inside:
            second = request.received_at_us // 1_000_000
            steps[second // step * step] += len(request.lines.index)
        assert await measured_series(connection, window, ENTRIES, step) == sorted(steps.items()), step
    return len(coverage.days) + len(coverage.hours)


async def test_any_window_is_exact_whatever_is_folded(settings: Settings) -> None:
    now_us = time.time_ns() // 1000
    today_us = now_us // (24 * HOUR_US) * 24 * HOUR_US
    first_us = today_us - 50 * HOUR_US  # the last two hours of a day, a whole day, and one more
    requests = [
        request_at(first_us + hour * HOUR_US + minute * 60_000_000 + second * 1_000_000, 1 + (hour + second) % 4)
        for hour, minute, second in itertools.product((0, 1, 2, 14, 25, 30, 49), (0, 17, 59), (3, 4))
    ]
    lines = sum(len(request.lines.index) for request in requests)
    windows = [
        Window(SCENARIO),
        Window(SCENARIO, moment(first_us + HOUR_US // 2)),
        Window(SCENARIO, moment(first_us + 2 * HOUR_US), moment(first_us + 26 * HOUR_US)),
        Window(SCENARIO, moment(first_us + 100 * 60_000_000), moment(today_us)),
        Window(SCENARIO, moment(today_us + 48 * HOUR_US)),
        Window(SCENARIO, moment(first_us + HOUR_US // 2 + 1), moment(first_us + 30 * HOUR_US + 17_500_000 * 60)),
        Window(SCENARIO, moment(first_us + 17 * 60_000_000), moment(first_us + 59 * 60_000_000)),
    ]
    pool = await open_pool(settings.postgres_api_url, settings, max_size=2)
    now = moment(now_us)
    try:
        with running_sink(settings, "postgres"):
            await publish_requests(settings, *requests[::2], *requests[1::2])
            await until_equal(settings, STORED, lines)

            async def served() -> list[int]:
                async with tenant_transaction(pool, TENANT, readonly=True, isolation="repeatable_read") as connection:
                    return [await assert_exact(connection, requests, window) for window in windows]

            assert await served() == [0] * len(windows)
            done = await fold_rollups(settings, now)
            assert (done.hours, done.days) == (7, 3)
            folded = await served()
            assert folded == [3, 3, 1, 2, 0, 2, 0]  # days where they are whole, else hours
            assert await fold_rollups(settings, now) == Folded(0, 0, 0)

            # Late lines, as after a replay: exact at once, though nobody has folded them.
            late = [request_at(first_us + 14 * HOUR_US + 5 * 60_000_000, 3), request_at(first_us + 20 * HOUR_US, 2)]
            requests += late
            await publish_requests(settings, *late)
            await until_equal(settings, STORED, lines + 5)
            assert (await served())[0] == 4  # two days, and two hours of the day that has changed
            assert (await fold_rollups(settings, now, since=now)).days == 0  # not asked for
            assert (await fold_rollups(settings, now)).days == 1
            assert await served() == folded

            # Summaries of a release that kept no parts: of days first, then of hours, too.
            for span in ("day", "hour"):
                async with owner_connection(settings) as connection:
                    await connection.execute("UPDATE scenario_summaries SET parts = NULL WHERE span = $1", span)
                assert await served() == folded
    finally:
        pool.terminate()
    async with owner_connection(settings) as connection:
        facets = await connection.fetch(
            "SELECT source, level, pii_types, sum(entries) AS n FROM scenario_facets GROUP BY 1, 2, 3"
        )
        stored = await connection.fetch(
            "SELECT source, level, pii_types, count(*) AS n FROM scenario_logs GROUP BY 1, 2, 3"
        )
        assert sorted(map(tuple, facets)) == sorted(map(tuple, stored))
        assert await connection.fetchval("SELECT count(*) FROM scenario_facets") < 60
