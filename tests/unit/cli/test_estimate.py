"""The totals of a file: the same in one process and in many, compressed or not; the span is what the lines tell."""

from __future__ import annotations

import gzip
import json
import random
from decimal import Decimal
from pathlib import Path

from mockupaws.cli.estimate import quantities_of
from mockupaws.cli.measure_files import measure_files
from mockupaws.cost_model.quantities import quantities_of_deltas
from tests.benchmarks.log_lines import make_log

NOW_US = 1_795_500_000_000_000


def write_logs(path: Path, lines: int, first_second: int | None = None) -> str:
    choose = random.Random(5)
    with path.open("w") as file:
        for number in range(lines):
            log = make_log(choose)
            if first_second is not None:
                log["timestamp"] = first_second + number
            file.write(json.dumps(log) + "\n")
    return str(path)


def test_processes_and_compression_do_not_matter(tmp_path: Path) -> None:
    name = write_logs(tmp_path / "shop.log", 12_000)  # more chunks than are done inline
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(Path(name).read_bytes(), mtime=0))
    one, two = measure_files([name], "shop", NOW_US, processes=1), measure_files([str(packed)], "shop", NOW_US)
    assert one == two
    assert one.counts.entries == 12_000
    totals = quantities_of_deltas(one.deltas)
    assert totals.entries == sum(totals.sizes.values()) == 12_000
    assert 0.2 < totals.pii_entries / totals.entries < 0.4


def test_batches_and_the_spread_are_those_of_a_hand_count(tmp_path: Path) -> None:
    file = tmp_path / "big.log"
    sizes = [30_000, 70_000, 10] * 400
    file.write_text("".join(f"{'x' * size}\n" for size in sizes))
    measured = measure_files([str(file)], None, NOW_US)
    quantities = quantities_of(measured, None)
    profile = measured.profile(quantities)

    def chunks(batch: int) -> int:
        """Requests of 1,000 lines as `send` makes them, each sent in calls of `batch`."""
        requests = [sizes[:1000], sizes[1000:]]
        calls = [lines[n : n + batch] for lines in requests for n in range(0, len(lines), batch)]
        return sum(-(-sum(call) // 65_536) for call in calls)

    assert profile.sqs_requests == {batch: chunks(batch) for batch in range(1, 11)}
    assert profile.size_bytes.sum == sum(sizes)
    assert abs(profile.size_bytes.p50 - 30_000) <= 30_000 * profile.size_bytes.relative_error


def test_the_arrival_rate_is_that_of_the_lines_own_seconds(tmp_path: Path) -> None:
    measured = measure_files([write_logs(tmp_path / "a.log", 60, 1_795_000_020)], None, NOW_US)
    rate = measured.profile(quantities_of(measured, None)).lines_per_second
    assert (rate.seconds, rate.p50, rate.max, rate.peak_to_mean) == (60, 1, 1, Decimal(1))


def test_patterns_of_files_come_together_from_all_chunks(tmp_path: Path) -> None:
    name = write_logs(tmp_path / "shop.log", 12_000)
    measured = measure_files([name], None, NOW_US, processes=2, patterns=True)
    found = {pattern.template: pattern.entries for pattern in measured.patterns.patterns()}
    assert sum(found.values()) == 12_000
    assert (
        found["cache miss for key basket:<n>, loaded in <n> ms from replica; trace=<n> span=<n> build=<n> <*>"] > 1000
    )
    assert len(found) < 60
    assert not measure_files([name], None, NOW_US).patterns.patterns()


def test_the_span_is_that_of_the_lines_own_timestamps(tmp_path: Path) -> None:
    measured = measure_files([write_logs(tmp_path / "a.log", 180, 1_795_000_020)], None, NOW_US)
    quantities = quantities_of(measured, None)
    assert quantities.active_minutes == 3
    assert quantities.span_seconds == 180
    assert quantities.entries == 180
    assert quantities.requests == 1


def test_the_span_of_texts_is_that_of_the_times_they_begin_with(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    lines = (f'10.0.0.7 - - [23/Nov/2026:10:{n // 60:02}:{n % 60:02} +0000] "GET" 200 5\n  more\n' for n in range(180))
    log.write_text("".join(lines))
    measured = measure_files([str(log)], None, NOW_US)
    quantities = quantities_of(measured, None)
    assert (quantities.entries, quantities.span_seconds, sum(quantities.volumes.values())) == (360, 180, 360)
    assert quantities_of(measured, 2.0).span_seconds == 2 * 3600


def test_hours_stand_in_for_missing_timestamps(tmp_path: Path) -> None:
    measured = measure_files([write_logs(tmp_path / "a.log", 10)], None, NOW_US)
    assert quantities_of(measured, None).span_seconds == 60
    assert quantities_of(measured, 2.0).span_seconds == 2 * 3600


def test_an_empty_file_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n\n")
    quantities = quantities_of(measure_files([str(tmp_path / "empty")], None, NOW_US), 24.0)
    assert (quantities.entries, quantities.requests, quantities.span_seconds) == (0, 0, 0)
