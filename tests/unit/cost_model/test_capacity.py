"""What an installation takes: the arithmetic by hand, its limits, and inputs nobody can compute with."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from mockupaws.cli.main import app
from mockupaws.cost_model.capacity import (
    CapacityError,
    Constants,
    Workload,
    compute_capacity,
    decode_constants,
    shipped_constants,
)
from mockupaws.cost_model.prices import current_prices
from mockupaws.cost_model.render_capacity import render_capacity

REGION = "eu-west-1"
CONSTANTS = Constants(
    origin="a test",
    machine="a machine",
    line_bytes=250,
    lines_per_second=1000,
    cpu_us_per_line={
        "gateway": 30.0,
        "processor": 60.0,
        "postgres-sink": 6.0,
        "parquet-sink": 6.0,
        "postgres": 12.0,
        "kafka": 12.0,
    },
    postgres_bytes_per_line=400,
    postgres_wal_bytes_per_line=500,
    kafka_bytes_per_line=100,
    archive_bytes_per_line=50,
    measured={},
)


def computed(*workload: Any, constants: Constants = CONSTANTS) -> Any:
    return compute_capacity(Workload(*workload), constants, current_prices(), REGION)


def test_by_hand() -> None:
    capacity = computed(100_000, 250, 10)
    # 100,000 lines/s × 60 µs = 6 cores, at 60 % each: 10 processes; gateway 3 / 0.6 = 5; sinks 0.6 / 0.6 = 1
    assert capacity.processes == {"gateway": 5, "processor": 10, "postgres-sink": 1, "parquet-sink": 1}
    assert capacity.partitions == 20
    assert capacity.postgres_cores == pytest.approx(2.0)
    assert capacity.postgres_bytes == pytest.approx(100_000 * 86_400 * 10 * 400)
    assert capacity.archive_bytes == pytest.approx(100_000 * 86_400 * 10 * 50)
    assert capacity.kafka_bytes == pytest.approx(100_000 * 100 * 3 * 86_400 * 7)
    # 18.1 TB at 60 % of 4 TB each
    assert capacity.brokers == 8
    assert capacity.ingress_bits == pytest.approx(200e6)
    assert [ceiling.part for ceiling in capacity.ceilings] == [
        "Postgres primary: disk",
        "Postgres primary: WAL",
        "Postgres primary: CPU",
    ]


def test_longer_lines_cost_more_and_shorter_ones_as_much() -> None:
    assert computed(100_000, 500, 10).processes["processor"] == 20
    assert computed(100_000, 25, 10).processes == computed(100_000, 250, 10).processes


def test_connections_take_gateways() -> None:
    assert computed(100, 250, 1, 50_000).processes["gateway"] == math.ceil(50_000 / 8192)


def test_what_one_primary_does_not_carry_is_said() -> None:
    text = render_capacity(computed(500_000, 250, 7), CONSTANTS)
    assert "1.00 Gbit/s in" in text
    assert "TOO MUCH FOR      Postgres primary: WAL: it carries 400,000 lines/s" in text
    assert "TOO MUCH" not in render_capacity(computed(5_000, 250, 7), CONSTANTS)


def test_only_what_has_a_row_has_a_price() -> None:
    costs = {line.part: line for line in computed(100_000, 250, 10).costs}
    # 4,320 GB-months at 0.023
    assert costs["archive, stored"].amount == Decimal("99.360")
    assert "s3.standard.gb_months.eu-west-1" in costs["archive, stored"].basis
    assert costs["brokers"].amount is None
    nowhere = compute_capacity(Workload(1000, 250, 1), CONSTANTS, current_prices(), "nowhere-1")
    assert all(line.amount is None for line in nowhere.costs)


@pytest.mark.parametrize("rate", [0.001, 1, 10**8])
@pytest.mark.parametrize("size", [1, 1024 * 1024])
@pytest.mark.parametrize("days", [0.01, 3650])
def test_at_the_ends_of_the_ranges(rate: float, size: float, days: float) -> None:
    assert "next bottleneck" in render_capacity(computed(rate, size, days), CONSTANTS)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("lines-per-second", "0"),
        ("lines-per-second", "-5"),
        ("lines-per-second", "1e30"),
        ("lines-per-second", "nan"),
        ("lines-per-second", "inf"),
        ("line-bytes", "0"),
        ("line-bytes", "99999999999"),
        ("retention", "-1"),
        ("retention", "1e9"),
        ("connections", "-1"),
    ],
)
def test_what_nobody_can_compute_with_is_named(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    given = {"lines-per-second": "1000", option: value}
    with pytest.raises(SystemExit) as end:
        app(["capacity", *(f"--{name}={number}" for name, number in given.items())])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert f"--{option} is " in said
    assert "give a number from" in said
    assert "Traceback" not in said


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    other = tmp_path / "constants.json"
    other.write_bytes(msgspec.json.encode(CONSTANTS))
    with pytest.raises(SystemExit) as end:
        app(["capacity", "--lines-per-second", "40000", "--constants", str(other)])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "next bottleneck" in said
    assert "Constants: a test" in said


@pytest.mark.parametrize("broken", [b"", b"{}", b"[]"])
def test_constants_that_are_none(broken: bytes) -> None:
    with pytest.raises(CapacityError, match="no constants of capacity"):
        decode_constants(broken)


@pytest.mark.parametrize("cpu", [{}, {"gateway": 0.0}])
def test_constants_that_lack_a_part(cpu: dict[str, float]) -> None:
    document = json.loads(msgspec.json.encode(CONSTANTS)) | {"cpu_us_per_line": cpu}
    with pytest.raises(CapacityError, match="must be above 0"):
        decode_constants(json.dumps(document).encode())


def test_the_shipped_constants_say_where_each_is_from() -> None:
    constants = shipped_constants()
    assert set(constants.measured) == {
        "cpu_us_per_line",
        "postgres_bytes_per_line",
        "postgres_wal_bytes_per_line",
        "kafka_bytes_per_line",
        "archive_bytes_per_line",
    }
