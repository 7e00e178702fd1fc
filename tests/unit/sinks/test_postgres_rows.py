"""What the Postgres sink makes of the requests of a record: rows, and the sums beside them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from mockupaws.schemas.analysed import AnalysedRequest, Delta, encode_analysed
from mockupaws.schemas.identifiers import new_request_id
from mockupaws.sinks.postgres.count_facets import count_facets
from mockupaws.sinks.postgres.decode import decode_analysed_record
from mockupaws.sinks.postgres.rows import pack_rows
from mockupaws.sinks.postgres.sum_deltas import receipts_of_stored, sum_deltas, sum_receipts
from tests.integration.sinks.sink_process import SCENARIO, TENANT, analysed_request

NOW_US = 1_764_000_000_000_000
MINUTE = NOW_US // 60_000_000 * 60


def request_of(number: int, lines: int) -> AnalysedRequest:
    made = analysed_request(
        [f"{number}: line {line} é" for line in range(lines)],
        request_id=new_request_id(NOW_US + number, number.to_bytes(10, "big")),
        received_at_us=NOW_US + number,
    )
    deltas = [
        Delta(MINUTE, "ingest", "entries", lines, {number % 60: lines}),
        Delta(MINUTE + 60 * (number % 2), "ingest", "bytes", 7 * number, {3: 1, number: 2}),
    ]
    return msgspec.structs.replace(made, deltas=deltas)


REQUESTS = [request_of(number, lines) for number, lines in enumerate([1, 1, 0, 3, 1, 100, 1])]


@dataclass(frozen=True)
class Record:
    value: bytes | None
    topic: str = "logs.analysed"
    partition: int = 3
    offset: int = 17
    timestamp: int = NOW_US // 1000
    headers: Sequence[tuple[str, bytes]] = (("schema_version", b"1"),)


def test_requests_packed_together_are_the_same_rows_as_each_alone() -> None:
    together = pack_rows(REQUESTS)
    assert together == [pack_rows([request])[0] for request in REQUESTS]
    assert together[2] == b""
    assert b"5: line 99" in together[5]


def test_a_request_that_fits_no_row_takes_none_of_its_record_with_it() -> None:
    lines = msgspec.structs.replace(REQUESTS[3].lines, size_bytes=[1, 1 << 31, 1])
    record = Record(encode_analysed([*REQUESTS[:3], msgspec.structs.replace(REQUESTS[3], lines=lines), *REQUESTS[4:]]))
    item = decode_analysed_record(record, NOW_US)
    assert [packed.request.request_id for packed in item.requests] == [
        request.request_id for request in REQUESTS if request is not REQUESTS[3]
    ]
    assert item.line_count == 104
    assert [(letter.reason, letter.request_id, letter.offset) for letter in item.new_letters] == [
        ("row_refused", REQUESTS[3].request_id, 17)
    ]


def test_sums_of_many_requests_are_those_of_each_added() -> None:
    packed = decode_analysed_record(Record(encode_analysed(REQUESTS)), NOW_US).requests
    rows = {(row.metric_name, row.timestamp.timestamp()): row for row in sum_deltas(packed)}
    assert list(rows) == [("bytes", MINUTE), ("entries", MINUTE), ("bytes", MINUTE + 60)]
    assert {row.tenant_id for row in rows.values()} == {TENANT}
    assert {row.scenario_id for row in rows.values()} == {SCENARIO}
    assert [row.value for row in rows.values()] == [7 * (0 + 2 + 4 + 6), 107, 7 * (1 + 3 + 5)]
    assert [msgspec.json.decode(row.extra_data or "", type=dict[int, int]) for row in rows.values()] == [
        {0: 2, 2: 2, 3: 4, 4: 2, 6: 2},
        {0: 1, 1: 1, 3: 3, 4: 1, 5: 100, 6: 1},
        {1: 2, 3: 4, 5: 2},
    ]
    assert sum(row.entries for row in count_facets(packed)) == 107


def test_a_request_and_a_part_of_it_share_one_receipt() -> None:
    whole, other = REQUESTS[3], REQUESTS[4]
    part = msgspec.structs.replace(whole, part=[5], accepted=6)
    packed = decode_analysed_record(Record(encode_analysed([whole, other, part])), NOW_US).requests
    assert [one.applied_key for one in packed[:2]] == [whole.request_id, other.request_id]
    assert packed[2].applied_key not in {whole.request_id, other.request_id}
    receipts = sum_receipts(receipts_of_stored(packed))
    assert [(uuid.UUID(bytes=r.request_id), r.accepted, r.stored) for r in receipts] == [
        (uuid.UUID(bytes=whole.request_id), 6, 6),
        (uuid.UUID(bytes=other.request_id), 1, 1),
    ]
