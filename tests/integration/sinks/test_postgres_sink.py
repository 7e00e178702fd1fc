"""What the Postgres sink stores, refuses and remembers, through the real servers."""

from __future__ import annotations

import json
import uuid

import msgspec

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import AnalysedRequest, LineColumns, decode_analysed, encode_analysed
from mockupaws.schemas.dead_letters import DeadLetter, Reason, encode_dead_letter
from mockupaws.schemas.distributions import add_counts
from mockupaws.schemas.topics import DEAD_LETTERS
from mockupaws.stream_processors.roll_up import merge, roll_up
from tests.integration.sinks.sink_process import (
    SCENARIO,
    TENANT,
    analysed_request,
    owner_connection,
    publish,
    publish_requests,
    running_sink,
    until_equal,
)

STORED = "SELECT coalesce(sum(stored), 0) FROM ingest_receipts"
LETTERS = "SELECT count(*) FROM dead_letters"
YEAR_2100_US = 4_102_444_800_000_000


async def test_packed_rows_arrive_as_they_were(settings: Settings) -> None:
    request = analysed_request(["häagen", "x" * 2000, "😀" * 600, "tab\tand \\N"])
    request = msgspec.structs.replace(request, policy_version=7)
    with running_sink(settings, "postgres"):
        await publish_requests(settings, request)
        await until_equal(settings, STORED, 4)
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT * FROM scenario_logs ORDER BY id")
    assert [row["message_preview"] for row in rows] == ["häagen", "x" * 500, "😀" * 500, "tab\tand \\N"]
    assert [row["pii_types"] for row in rows] == [[], ["EMAIL"], ["PHONE"], ["EMAIL", "PHONE"]]
    assert [row["has_pii"] for row in rows] == [False, True, True, True]
    assert [row["attributes"] for row in rows] == ['{"a": 1}', None, None, '{"a": 1}']
    assert [row["message_hash"] for row in rows] == request.lines.message_hash
    assert [row["size_bytes"] for row in rows] == request.lines.size_bytes
    assert {row["policy_version"] for row in rows} == {7}
    assert {(row["tenant_id"], row["scenario_id"], row["source"], row["level"]) for row in rows} == {
        (TENANT, SCENARIO, "app", "info")
    }
    assert [row["timestamp"] is not None for row in rows] == [False, True, False, True]
    assert all(row["timestamp"] in (None, row["received_at"]) for row in rows)
    assert {row["received_at"].timestamp() for row in rows} == {request.received_at_us / 1e6}


async def test_a_repeated_request_is_stored_once_within_and_across_batches(settings: Settings) -> None:
    request = analysed_request(["a", "b"])
    with running_sink(settings, "postgres"):
        await publish_requests(settings, request, request)
        await until_equal(settings, STORED, 2)
        await publish_requests(settings, request, analysed_request(["last"]))
        await until_equal(settings, STORED, 3)
    async with owner_connection(settings) as connection:
        assert await connection.fetchval("SELECT count(*) FROM scenario_logs") == 3
        assert await connection.fetchval(LETTERS) == 0
        rollup = await connection.fetchval("SELECT sum(value) FROM scenario_metrics WHERE metric_name = 'entries'")
        assert int(rollup) == 3


async def test_rows_of_a_transaction_stand_in_the_order_of_their_key(settings: Settings) -> None:
    now_us = analysed_request(["now"]).received_at_us
    requests = [
        msgspec.structs.replace(analysed_request(["a", "b"], received_at_us=now_us + later), scenario_id=scenario.bytes)
        for later, scenario in ((2, SCENARIO), (1, uuid.UUID(int=3)), (1, SCENARIO), (0, uuid.UUID(int=3)))
    ]
    with running_sink(settings, "postgres"):
        await publish(settings, [encode_analysed(requests)])
        await until_equal(settings, STORED, 8)
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT scenario_id, received_at, id FROM scenario_logs ORDER BY ctid")
    keys = [tuple(row) for row in rows]
    assert keys == sorted(keys)


async def test_distributions_are_added_key_by_key(settings: Settings) -> None:
    requests = [analysed_request(["x" * size for size in sizes]) for sizes in ([100, 100, 40], [100], [5_000, 40])]
    with running_sink(settings, "postgres"):
        for stored, request in zip((3, 4, 6), requests, strict=True):
            deltas = roll_up(request.received_at_us, request.lines)
            await publish_requests(settings, msgspec.structs.replace(request, deltas=deltas))
            await until_equal(settings, STORED, stored)
    expected = merge(d for r in requests for d in roll_up(0, r.lines) if d.metric_name in ("bytes", "blocks"))
    async with owner_connection(settings) as connection:
        rows = await connection.fetch(
            "SELECT metric_name, sum(value)::bigint AS value, jsonb_agg(extra_data) AS counts FROM scenario_metrics "
            "WHERE metric_name IN ('bytes', 'blocks') GROUP BY metric_name ORDER BY metric_name DESC"
        )
    found = {
        row["metric_name"]: (
            row["value"],
            add_counts({int(key): count for key, count in part.items()} for part in json.loads(row["counts"])),
        )
        for row in rows
    }
    assert found == {delta.metric_name: (delta.value, delta.counts) for delta in expected}


async def test_another_body_under_a_stored_id_becomes_one_dead_letter(settings: Settings) -> None:
    request_id = uuid.uuid4()
    first = analysed_request(["first"], request_id)
    other = analysed_request(["other", "body"], request_id, body_hash=b"o" * 16)
    with running_sink(settings, "postgres"):
        await publish_requests(settings, first)
        await until_equal(settings, STORED, 1)
        await publish_requests(settings, other, other)
        await until_equal(settings, LETTERS, 1)
        await publish_requests(settings, analysed_request(["last"]))
        await until_equal(settings, STORED, 2)
    async with owner_connection(settings) as connection:
        letter = await connection.fetchrow("SELECT * FROM dead_letters")
        receipt = await connection.fetchrow("SELECT * FROM ingest_receipts WHERE request_id = $1", request_id)
        assert await connection.fetchval("SELECT count(*) FROM scenario_logs") == 2
    assert letter is not None
    assert (letter["reason"], letter["step"], letter["entry_indexes"]) == (
        "idempotency_key_reused",
        "postgres_sink",
        [0, 1],
    )
    assert decode_analysed(letter["original"]) == [other]
    assert receipt is not None
    assert tuple(receipt[name] for name in ("accepted", "stored", "dead_lettered", "reused")) == (1, 1, 0, 2)


async def test_a_time_without_a_partition_becomes_a_dead_letter_and_its_neighbours_rows(settings: Settings) -> None:
    with running_sink(settings, "postgres"):
        await publish_requests(
            settings,
            analysed_request(["before"]),
            analysed_request(["far", "away"], received_at_us=YEAR_2100_US),
            analysed_request(["after"]),
        )
        await until_equal(settings, STORED, 2)
        await until_equal(settings, LETTERS, 1)
        await until_equal(settings, "SELECT sum(dead_lettered) FROM ingest_receipts", 2)
    async with owner_connection(settings) as connection:
        assert await connection.fetchval("SELECT reason FROM dead_letters") == "timestamp_out_of_range"


async def test_a_row_postgres_refuses_is_found_and_its_neighbours_stored(settings: Settings) -> None:
    with running_sink(settings, "postgres"):
        requests = [analysed_request([f"line {n}"]) for n in range(20)]
        requests[7:7] = [analysed_request(["good", "NUL \x00"])]
        await publish_requests(settings, *requests)
        await until_equal(settings, STORED, 20)
        await until_equal(settings, LETTERS, 1)
    async with owner_connection(settings) as connection:
        letter = await connection.fetchrow("SELECT * FROM dead_letters")
        assert letter is not None
        assert (letter["reason"], letter["detail"]) == ("row_refused", "SQLSTATE 22021")
        assert await connection.fetchval("SELECT count(*) FROM scenario_logs") == 20


async def test_records_that_cannot_be_read_become_dead_letters(settings: Settings) -> None:
    with running_sink(settings, "postgres"):
        await publish(settings, [b"\xc1 no msgpack"])
        await publish(settings, [b"\x90"], headers=[("schema_version", b"99")])
        await publish(settings, [b"\xc1 no letter either"], topic=DEAD_LETTERS)
        await publish_requests(settings, analysed_request(["after"]))
        await until_equal(settings, STORED, 1)
        await until_equal(settings, LETTERS, 3)
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT reason, original FROM dead_letters ORDER BY reason, original")
    assert [(row["reason"], row["original"]) for row in rows] == [
        ("undecodable_record", b"\xc1 no letter either"),
        ("undecodable_record", b"\xc1 no msgpack"),
        ("unknown_schema_version", b"\x90"),
    ]


async def test_lines_and_dead_letters_of_a_request_add_up_in_either_order(settings: Settings) -> None:
    requests = [analysed_request(["a", "b", "c"], accepted=4) for _ in range(2)]
    letters = [letter_of(request, [3]) for request in requests]
    with running_sink(settings, "postgres"):
        await publish(settings, [letters[0], letters[0]], topic=DEAD_LETTERS)
        await until_equal(settings, LETTERS, 1)
        await publish_requests(settings, *requests)
        await until_equal(settings, STORED, 6)
        await publish(settings, [letters[1], letters[0]], topic=DEAD_LETTERS)
        await until_equal(settings, LETTERS, 2)
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT accepted, stored, dead_lettered, reused FROM ingest_receipts")
    assert [tuple(row) for row in rows] == [(4, 3, 1, 0), (4, 3, 1, 0)]


async def receipt_of(settings: Settings, request_id: bytes) -> tuple[int, ...]:
    async with owner_connection(settings) as connection:
        row = await connection.fetchrow(
            "SELECT accepted, stored, dead_lettered FROM ingest_receipts WHERE request_id = $1",
            uuid.UUID(bytes=request_id),
        )
    assert row is not None
    return tuple(row)


def letter_of(request: AnalysedRequest, indexes: list[int], reason: Reason = "analysis_failed") -> bytes:
    return encode_dead_letter(
        DeadLetter(
            reason=reason,
            step="analyse",
            detail="ValueError",
            topic="ingest.requests",
            partition=0,
            offset=0,
            occurred_at_us=request.received_at_us,
            software_version="0",
            original=b"",
            request_id=request.request_id,
            tenant_id=request.tenant_id,
            scenario_id=request.scenario_id,
            accepted=request.accepted,
            entry_indexes=indexes,
            received_at_us=request.received_at_us,
        )
    )


async def test_a_replay_that_stores_what_was_dead_lettered_takes_it_out_of_the_count(settings: Settings) -> None:
    request = analysed_request(["a", "b"])
    with running_sink(settings, "postgres"):
        await publish(settings, [letter_of(request, [0, 1])], topic=DEAD_LETTERS)
        await until_equal(settings, LETTERS, 1)
        assert await receipt_of(settings, request.request_id) == (2, 0, 2)
        await publish_requests(settings, request)
        await until_equal(settings, STORED, 2)
        assert await receipt_of(settings, request.request_id) == (2, 2, 0)
        # and the letter, repeated or late, counts no more
        other = analysed_request(["last"])
        await publish(settings, [letter_of(request, [0, 1]), letter_of(other, [0])], topic=DEAD_LETTERS)
        await until_equal(settings, LETTERS, 2)
    assert await receipt_of(settings, request.request_id) == (2, 2, 0)
    async with owner_connection(settings) as connection:
        states = await connection.fetch("SELECT state FROM dead_letters ORDER BY accepted DESC")
    assert [row["state"] for row in states] == ["redriven", "dead"]


async def test_a_part_is_stored_beside_its_request_and_once(settings: Settings) -> None:
    request = analysed_request(["a", "b", "c"])
    first = only(request, [0, 2], None)
    part = only(request, [1], [1])
    with running_sink(settings, "postgres"):
        await publish(settings, [letter_of(request, [1])], topic=DEAD_LETTERS)
        await publish_requests(settings, first)
        await until_equal(settings, STORED, 2)
        await until_equal(settings, LETTERS, 1)
        await publish_requests(settings, part, part)
        await until_equal(settings, STORED, 3)
        await publish_requests(settings, analysed_request(["last"]))
        await until_equal(settings, STORED, 4)
    assert await receipt_of(settings, request.request_id) == (3, 3, 0)
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT message_preview FROM scenario_logs ORDER BY id")
        assert await connection.fetchval("SELECT state FROM dead_letters") == "redriven"
    assert sorted(row["message_preview"] for row in rows) == ["a", "b", "c", "last"]


def only(request: AnalysedRequest, indexes: list[int], part: list[int] | None) -> AnalysedRequest:
    columns = {
        name: [getattr(request.lines, name)[index] for index in indexes] for name in LineColumns.__struct_fields__
    }
    return msgspec.structs.replace(request, lines=LineColumns(**columns), deltas=[], part=part)


async def test_values_that_fit_no_row_cost_their_neighbours_nothing(settings: Settings) -> None:
    good, bad = analysed_request(["good"]), analysed_request(["bad"])
    bad.lines.timestamp_us[0] = -(2**63)
    far = analysed_request(["far"])
    far.lines.timestamp_us[0] = -(2**62)  # fits the binary form, and no timestamp
    with running_sink(settings, "postgres"):
        await publish(settings, [encode_analysed([bad, good, far])])
        await until_equal(settings, STORED, 1)
        await until_equal(settings, LETTERS, 2)
    async with owner_connection(settings) as connection:
        letters = await connection.fetch("SELECT reason, detail, record_version FROM dead_letters ORDER BY detail DESC")
    assert [tuple(letter) for letter in letters] == [
        ("row_refused", "error while packing", "1"),
        ("row_refused", "SQLSTATE 22008", "1"),
    ]
