"""The whole bill computed a second time, from the raw file and the price book's JSON, by code that shares nothing with
`mockupaws.cost_model`: what `mockupaws estimate` prints must be the same to the cent."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import quicktok

import mockupaws

MONTH = 2_626_560
CHUNK = 65_536
BOOK = Path(mockupaws.__file__).parent / "cost_model" / "price_book" / "2026-11-25.json"
T_975 = {2: "4.303", 23: "2.086", 60: "2.000", 119: "2.000"}
ARCHITECTURE = {
    "region": "us-east-1",
    "queue": {"batch_size": 10, "pollers": 3, "wait_seconds": 20},
    "function": {"memory_mb": 256, "duration_ms": 40, "duration_ms_per_kb": "0.5", "batch_size": 100,
                 "failure_share": "0.01", "max_retries": 1},
    "model": {"id": "amazon.nova-lite-v1:0", "share_of_lines": "0.2", "prompt_tokens_per_line": 300,
              "cached_share": "0.5", "output_tokens_per_line": 20, "token_spread": "0.1"},
    "log_group": {"used": True, "retention_days": 60, "stored_share": "0.25", "scanned_gb_per_month": "3"},
    "transfer_out_share": "0.1",
}  # fmt: skip


def write_file(path: Path, minutes: int) -> list[tuple[int, str]]:
    """Lines of known sizes: many small ones, some of more than one chunk of 64 KiB; busier as the hour goes on."""
    lines = []
    start = 1_704_067_200
    for minute in range(minutes):
        for number in range(3 + minute % 7):
            size = 70_000 if (minute + number) % 211 == 0 else 40 + 13 * ((minute * 7 + number) % 50)
            lines.append((start + minute * 60 + number, f"{minute} {number} ".ljust(size, "x")))
    path.write_text("".join(json.dumps({"timestamp": at, "message": text}) + "\n" for at, text in lines))
    return lines


def estimated(path: Path, architecture: dict[str, Any]) -> dict[str, Any]:
    plan = path.with_suffix(".architecture")
    plan.write_text(json.dumps(architecture))
    command = [sys.executable, "-m", "mockupaws.cli.main", "estimate", str(path), "--architecture", str(plan), "--json"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MOCKUPAWS_")}
    environ["MOCKUPAWS_HOME"] = str(path.parent)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ, timeout=120)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def up(value: Fraction) -> int:
    return math.ceil(value)


class Book:
    def __init__(self, region: str) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in json.loads(BOOK.read_text())["rows"]:
            if row["region"] == region:
                self.rows[row["meter"]].append(row)
        self.used: dict[str, Fraction] = defaultdict(Fraction)

    def price(self, meter: str, quantity: Fraction | int) -> Fraction:
        """Marginal over the tiers, after what was priced of the meter before."""
        rows = sorted(self.rows[meter], key=lambda row: row.get("from_quantity", 0))
        assert rows, meter
        begin = self.used[meter]
        self.used[meter] += quantity
        amount = Fraction(0)
        for row, following in zip(rows, [*rows[1:], {"from_quantity": 10**30}], strict=True):
            low, high = max(begin, row.get("from_quantity", 0)), min(begin + quantity, following["from_quantity"])
            if high > low:
                amount += (high - low) * Fraction(row["price"]) / row.get("unit_quantity", 1)
        return amount


def bill_of(lines: list[tuple[int, str]], factors: dict[str, Fraction], span: int, end: str) -> Fraction:
    """One end (low, likely, high) of the bill of the file's lines, `factors[end]` times over."""
    factor = factors[end]
    sizes = [len(text.encode()) for _, text in lines]
    entries = up(len(lines) * factor)
    total_bytes = up(sum(sizes) * factor)
    requests = up(max(math.ceil(len(lines) / 1000), math.ceil(sum(sizes) / (4 * 2**20))) * factor)
    blocks = up(sum(math.ceil(size / CHUNK) for size in sizes) * factor)
    batched = 0
    for first in range(0, len(sizes), 1000):  # a request of `send`, each sent in calls of up to 10 messages, 1 MiB
        call: list[int] = []
        for size in sizes[first : first + 1000]:
            if len(call) == 10 or sum(call) + size > 2**20:
                batched += math.ceil(sum(call) / CHUNK)
                call = []
            call.append(size)
        batched += math.ceil(sum(call) / CHUNK)
    batched = up(batched * factor)
    tokens = up(sum(quicktok.get_encoding("cl100k_base").count(text) for _, text in lines) * factor)
    active = min(up(len({at // 60 for at, _ in lines}) * 60 * factor), span)
    book = Book("us-east-1")
    total = Fraction(0)

    def batches(size: int) -> int:
        full = math.ceil(entries / size)
        return {"low": full, "likely": max(full, min(requests, entries)), "high": entries}[end]

    least = max(math.ceil(entries / 10) + blocks - entries, math.ceil(total_bytes / CHUNK))
    carried = {"low": least, "likely": max(least, batched), "high": max(least, batched, blocks)}[end]
    tries = Fraction("1.01")
    idle = {"low": 0, "likely": 3 * math.ceil((span - active) / 20), "high": 3 * math.ceil(span / 20)}[end]
    for quantity in (carried, up(carried * tries), batches(10), idle):
        total += book.price("sqs.standard.requests", quantity)
    invocations = up(batches(100) * tries)
    total += book.price("lambda.x86_64.requests", invocations)
    seconds = Fraction(invocations * 40, 1000) + Fraction(total_bytes, 1024) * tries * Fraction("0.5") / 1000
    total += book.price("lambda.x86_64.gb_seconds", seconds * 256 / 1024)

    spread = {"low": Fraction("0.9"), "likely": Fraction(1), "high": Fraction("1.1")}[end]
    sent = up(Fraction(entries) / 5)
    cached = up(sent * 300 * Fraction(1, 2))
    read = up(tokens * Fraction("1.3") / 5) + sent * 300 - cached
    model = "bedrock.amazon.nova-lite-v1:0"
    total += book.price(f"{model}.input_tokens", up(read * spread))
    total += book.price(f"{model}.cache_read_tokens", up(cached * spread))
    total += book.price(f"{model}.output_tokens", up(sent * 20 * spread))

    ingested = Fraction(total_bytes + (0 if end == "low" else entries * 26), 2**30)
    total += book.price("cloudwatch_logs.ingested_gb", ingested)
    total += book.price("cloudwatch_logs.stored_gb_months", ingested / 4 * 60 / Fraction("30.4"))
    total += book.price("cloudwatch_logs.scanned_gb", Fraction(3 * span, MONTH))
    return total + book.price("data_transfer.out_gb", Fraction(total_bytes, 10 * 2**30))


def factors_of(lines: list[tuple[int, str]], span: int) -> dict[str, Fraction]:
    """How many times the file a month has: by minutes, from 6 h on by hours, from a day on by the hour of the day."""
    first = min(at for at, _ in lines) // 60 * 60
    step = 3600 if span >= 6 * 3600 else 60
    volumes = [0] * (span // step)
    for at, _ in lines:
        volumes[(at - first) // step] += 1
    likely = Fraction(MONTH, span)
    if span >= 86_400:
        hours = [volumes[hour::24] for hour in range(24)]
        likely = sum((Fraction(sum(h), len(h)) for h in hours), Fraction(0)) * MONTH / 86_400 / len(lines)
    if span >= 3 * 86_400:
        volumes = [sum(volumes[day * 24 : day * 24 + 24]) for day in range(span // 86_400)]
    count, mean = len(volumes), Fraction(sum(volumes), len(volumes))
    variance = sum(((volume - mean) ** 2 for volume in volumes), Fraction(0)) / (count - 1)
    deviation = (Decimal(variance.numerator) / variance.denominator / count).sqrt()
    error = Fraction(Decimal(T_975[count - 1]) * deviation) / mean
    return {"low": likely * max(1 - error, Fraction(0)), "likely": likely, "high": likely * (1 + error)}


@pytest.mark.parametrize("minutes", [120, 24 * 60, 3 * 24 * 60], ids=["two hours", "a day", "three days"])
def test_the_bill_computed_twice_is_the_same_to_the_cent(tmp_path: Path, minutes: int) -> None:
    lines = write_file(tmp_path / "app.jsonl", minutes)
    span = minutes * 60
    document = estimated(tmp_path / "app.jsonl", ARCHITECTURE)
    assert document["costs"]["complete"]
    as_seen, month = dict.fromkeys(("low", "likely", "high"), Fraction(1)), factors_of(lines, span)
    for name, factors, seconds in (("measured", as_seen, span), ("month", month, MONTH)):
        printed = document["costs"][name]["total"]
        for end in ("low", "likely", "high"):
            again = bill_of(lines, factors, seconds, end)
            assert abs(Fraction(printed[end]) - again) < Fraction("0.005"), (name, end)
            assert abs(Fraction(printed[end]) / again - 1) < Fraction("1e-6"), (name, end)


def test_the_sqs_quantity_is_a_hand_count_and_not_that_of_the_average(tmp_path: Path) -> None:
    sizes = [100, 200_000, 65_536, 65_537, 10, 1_000, 131_072, 131_073]
    (tmp_path / "known.log").write_text("".join("x" * size + "\n" for size in sizes))
    document = estimated(tmp_path / "known.log", {"queue": {"batch_size": 1}, "model": {"share_of_lines": 0}})
    send = next(item for item in document["costs"]["measured"]["items"] if item["name"] == "send")
    by_hand = 1 + 4 + 1 + 2 + 1 + 1 + 2 + 3
    assert int(send["quantity"]["likely"]) == by_hand == 15
    by_average = math.ceil(sum(sizes) / len(sizes) / CHUNK) * len(sizes)
    assert by_average == 16
    assert by_average != by_hand
