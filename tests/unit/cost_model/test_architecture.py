"""A scenario's architecture: what it may be, and what each part of it uses: nothing, where it isn't used."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from mockupaws.cost_model.architecture import (
    PRESETS,
    Architecture,
    ArchitectureError,
    architecture_document,
    architecture_of,
    changed_architecture,
    preset_architecture,
)
from mockupaws.cost_model.bill import bill, usage_of
from mockupaws.cost_model.prices import current_prices
from mockupaws.cost_model.quantities import MONTH_SECONDS, Quantities, TokenTotals, Traffic
from mockupaws.cost_model.storage import MONTH_DAYS
from mockupaws.cost_model.usage import GIB, Range

D = Decimal
KB = 1024
ALL = {
    "api": {"used": True},
    "log_group": {"used": True, "scanned_gb_per_month": "5"},
    "archive": {"used": True, "scanned_gb_per_month": "1024"},
    "transfer_out_share": "0.5",
    "function": {"ephemeral_mb": 1024},
    "model": {"prompt_tokens_per_line": 100, "cached_share": "0.6", "cache_write_share": "0.1",
              "output_tokens_per_line": 5},
}  # fmt: skip


def traffic(**changes: Any) -> Traffic:
    """1,000 lines of 1 KB in 20 requests, over a month of which a hundredth has traffic."""
    made: dict[str, Any] = {
        "requests": 20,
        "entries": 1000,
        "size_bytes": 1000 * KB,
        "tokens": TokenTotals(200_000, 0, 0, 0, 0),
        "sqs_blocks": 1000,
        "sqs_batched": {10: 100},
        "active_seconds": MONTH_SECONDS // 100,
        "span_seconds": MONTH_SECONDS,
    }
    return Traffic(**(made | changes))


def used(change: dict[str, Any], **changes: Any) -> dict[tuple[str, str], Range]:
    architecture = changed_architecture(Architecture(), change)
    return {(usage.service, usage.name): usage.quantity for usage in usage_of(traffic(**changes), architecture)}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"queue": {"batch_size": 11}}, "$.queue.batch_size"),
        ({"queue": {"batch_size": 0}}, "$.queue.batch_size"),
        ({"function": {"architecture": "sparc"}}, "$.function.architecture"),
        ({"function": {"memory_mb": "128"}}, "$.function.memory_mb"),
        ({"model": {"share_of_lines": -1}}, "share_of_lines"),
        ({"model": {"share_of_lines": "NaN"}}, "share_of_lines"),
        ({"model": {"share_of_lines": "1e-999999"}}, "share_of_lines"),
        ({"model": {"cached_share": "0.6", "cache_write_share": "0.5"}}, "cached_share"),
        ({"model": {"prompt_tokens_per_line": 10**30}}, "$.model.prompt_tokens_per_line"),
        ({"queue": {"wait_seconds": 0}}, "pause_ms"),
        ({"function": {"memory_mb": 0}}, "$.function.memory_mb"),
        ({"function": {"failure_share": "1.01"}}, "failure_share"),
        ({"function": {"duration_ms_per_kb": "-1"}}, "duration_ms_per_kb"),
        ({"function": {"measured_duration": {"low_ms": 9, "likely_ms": 5, "high_ms": 10}}}, "low_ms"),
        ({"log_group": {"retention_days": 0}}, "$.log_group.retention_days"),
        ({"archive": {"storage_class": "floppy"}}, "$.archive.storage_class"),
        ({"archive": {"scanned_gb_per_month": "Infinity"}}, "scanned_gb_per_month"),
        ({"growth": {"share_per_month": "11"}}, "share_per_month"),
        ({"growth": {"months": 61}}, "$.growth.months"),
        ({"transfer_out_share": "2"}, "transfer_out_share"),
        ({"region": "Mars"}, "$.region"),
        ({"colour": "red"}, "colour"),
        ([], "$"),
    ],
)
def test_an_architecture_that_cannot_be_names_the_field(document: object, field: str) -> None:
    with pytest.raises(ArchitectureError, match=field.replace("$", r"\$")):
        architecture_of(document)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_an_architecture_and_can_be_changed(name: str) -> None:
    preset = preset_architecture(name)
    assert architecture_of(architecture_document(preset)) == preset
    assert changed_architecture(preset, {"region": "eu-west-1"}).region == "eu-west-1"
    assert usage_of(traffic(), preset)


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(ArchitectureError, match="log-sqs-lambda"):
        preset_architecture("nonsense")


def test_what_was_stored_before_a_part_was_known_still_reads() -> None:
    old = {"region": "us-east-1", "queue": {"type": "standard", "batch_size": 10, "pollers": 5, "wait_seconds": 20},
           "function": {"memory_mb": 128, "architecture": "x86_64", "duration_ms": 100, "batch_size": 10},
           "model": {"id": "m", "share_of_lines": "1", "prompt_tokens_per_line": 0, "output_tokens_per_line": 0,
                     "token_spread": "0.15"}, "free_tier": False}  # fmt: skip
    assert not architecture_of(msgspec.json.decode(msgspec.json.encode(old))).log_group.used


def test_a_part_that_is_not_used_uses_nothing() -> None:
    off = {"queue": {"used": False}, "function": {"used": False}, "model": {"share_of_lines": 0}}
    assert used(off) == {}
    services = {service for service, _ in used(ALL)}
    assert services == {"API Gateway", "SQS", "Lambda", "Bedrock", "CloudWatch Logs", "S3", "Athena", "Data transfer"}


def test_every_part_of_all_of_it_has_a_price_in_the_default_region() -> None:
    quantities = Quantities(requests=20, entries=1000, size_bytes=1000 * KB, tokens=200_000, sqs_blocks=1000,
                            first_minute=0, last_minute=3540, active_minutes=60)  # fmt: skip
    found = bill(quantities, changed_architecture(Architecture(), ALL), current_prices())
    assert found.complete, found.month.unpriced
    for item in found.month.items:
        assert item.amount.low <= item.amount.likely <= item.amount.high, item
        assert item.amount.high > 0, item


def test_failed_invocations_are_received_and_run_again() -> None:
    plain, failing = used({}), used({"function": {"failure_share": "0.5", "max_retries": 2}})
    assert failing["Lambda", "invocations"].likely == plain["Lambda", "invocations"].likely * D("1.75")
    assert failing["SQS", "receive"].likely == plain["SQS", "receive"].likely * D("1.75")
    assert failing["SQS", "send"] == plain["SQS", "send"]
    assert failing["SQS", "delete"] == plain["SQS", "delete"]


def test_a_duration_is_fixed_by_the_kilobyte_or_measured() -> None:
    by_kb = used({"function": {"duration_ms": 20, "duration_ms_per_kb": "1.5", "memory_mb": 1024}})
    assert by_kb["Lambda", "compute"].likely == (100 * D(20) + 1000 * D("1.5")) / 1000
    measured = {"low_ms": 5, "likely_ms": 8, "high_ms": 30}
    found = used({"function": {"measured_duration": measured, "memory_mb": 2048}})["Lambda", "compute"]
    assert found == Range(100 * D(5) / 1000 * 2, 100 * D(8) / 1000 * 2, 1000 * D(30) / 1000 * 2)
    ephemeral = used({"function": {"ephemeral_mb": 1536}})
    assert ephemeral["Lambda", "ephemeral storage"].likely == 100 * D(100) / 1000


def test_a_token_of_the_prompt_is_billed_once() -> None:
    model = {"id": "amazon.nova-lite-v1:0", "prompt_tokens_per_line": 100, "token_spread": "0"}
    plain = used({"model": model})
    cached = used({"model": model | {"cached_share": "0.7", "cache_write_share": "0.1"}})
    assert cached["Bedrock", "cache reads"].likely == 70_000
    assert cached["Bedrock", "cache writes"].likely == 10_000
    assert (
        cached["Bedrock", "input tokens"].likely
        == plain["Bedrock", "input tokens"].likely - 80_000
        == 200_000 * D("1.3") + 20_000
    )


def test_short_polling_polls_as_often_as_it_pauses() -> None:
    idle = MONTH_SECONDS - MONTH_SECONDS // 100
    found = used({"queue": {"wait_seconds": 0, "pause_ms": 500, "pollers": 2}})["SQS", "empty receives"]
    assert found.likely == 2 * idle * 2
    assert used({"queue": {"pollers": 0}})["SQS", "empty receives"].high == 0


def test_compression_takes_away_chunks_beyond_the_first_of_a_call() -> None:
    large = {"sqs_blocks": 4000, "sqs_batched": {10: 3200}, "size_bytes": 200 * 1024 * 1024}
    plain = used({}, **large)["SQS", "send"]
    half = used({"queue": {"compressed_share": "0.5"}}, **large)["SQS", "send"]
    assert plain.likely == 3200
    assert half.likely == 100 + 1550
    assert half.low <= half.likely <= half.high < plain.high


def test_logs_and_archive_are_billed_by_bytes_and_days() -> None:
    found = used({"log_group": {"used": True, "retention_days": 90, "stored_share": "0.5"}})
    carried = D(1000 * KB + 1000 * 26) / GIB
    assert found["CloudWatch Logs", "ingestion"].likely == carried
    assert found["CloudWatch Logs", "ingestion"].low == D(1000 * KB) / GIB
    stored = found["CloudWatch Logs", "storage"].likely
    assert abs(stored - carried * D("0.5") * 90 / MONTH_DAYS) < D("1e-20")
    archive = used({"archive": {"used": True, "flush_seconds": 300, "stored_share": "0.25"}})
    assert archive["S3", "PUT requests"] == Range.of(1, 88, 1000)  # by size; minutes with traffic / 300 s; each line
    cold = used({"archive": {"used": True, "storage_class": "standard_ia", "retention_days": 30}})
    assert cold["S3", "storage"].likely > archive["S3", "storage"].likely, "an object counts as 128 KB at least"


def test_growth_is_compounded_and_can_shrink() -> None:
    quantities = Quantities(requests=1, entries=100, size_bytes=100, sqs_blocks=100, first_minute=0, last_minute=0)

    def lines(share: str, months: int) -> int:
        growth = {"growth": {"share_per_month": share, "months": months}}
        return bill(quantities, changed_architecture(Architecture(), growth), current_prices()).projection.lines_likely

    month = 100 * MONTH_SECONDS // 60
    assert lines("0.1", 0) == lines("0", 12) == month
    assert lines("0.1", 2) == month * 121 // 100
    assert lines("-1", 1) == 0
