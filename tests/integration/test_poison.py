"""Poison through processor and sinks: each kind becomes a letter with its bytes, its neighbours become rows."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import msgspec

from mockupaws import __version__
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request, join_bundle
from mockupaws.schemas.topics import ANALYSED, REQUESTS
from tests.integration.sinks.sink_process import SinkProcess, owner_connection, running_sink, until_equal
from tests.integration.sinks.sink_process import publish as publish_to_sinks
from tests.integration.sinks.test_redrive import ARCHIVED, LETTERS, POISON, ROWS, UNBALANCED, request_of
from tests.integration.stream_processors.processor_process import ProcessorProcess, publish, running_processor

TEN_MEGABYTES = "x" * 10_000_000
YEAR_2100_US = 4_102_444_800_000_000


@contextlib.contextmanager
def running_all(settings: Settings) -> Iterator[tuple[ProcessorProcess, SinkProcess, SinkProcess]]:
    with (
        running_processor(settings) as processor,
        running_sink(settings, "postgres") as postgres,
        running_sink(settings, "parquet") as parquet,
    ):
        yield processor, postgres, parquet


def nested(request: IngestRequest, depth: int) -> bytes:
    deep = msgspec.Raw(b"\x81\xa1a" * depth + b"\xc0")
    return encode_request(
        msgspec.structs.replace(request, entries=[msgspec.Raw(msgspec.msgpack.encode(["m", None, "", "", deep]))])
    )


async def test_each_poison_becomes_a_letter_and_each_neighbour_a_row(settings: Settings) -> None:
    quick = dataclasses.replace(settings, parquet_flush_seconds=0.2)
    surrogate = encode_request(request_of(Entry("XXX"))).replace(b"XXX", b"\xed\xa0\x80")
    deep = join_bundle([nested(request_of(), 10_000)])
    raises = request_of(Entry("fine"), POISON)
    far = msgspec.structs.replace(request_of(Entry("far")), received_at_us=YEAR_2100_US)
    poison = {
        b"\xc1 no msgpack": "undecodable_record",
        msgspec.msgpack.encode({"a": "wrong schema"}): "undecodable_record",
        deep: "undecodable_record",
        join_bundle([surrogate]): "undecodable_record",
        join_bundle([encode_request(raises)]): "analysis_failed",
        join_bundle([encode_request(far)]): "timestamp_out_of_range",
    }
    stored = [Entry("NUL \x00 inside"), Entry(TEN_MEGABYTES), Entry("last")]
    values = []
    for value in poison:
        values += [join_bundle([encode_request(request_of(Entry("neighbour")))]), value]
    values += [join_bundle([encode_request(request_of(entry))]) for entry in stored]
    with running_all(quick) as processes:
        await publish(settings, values)
        rows = len(poison) + len(stored) + 1  # and the good entry beside the one that raises
        await until_equal(settings, LETTERS, len(poison))
        await until_equal(settings, ROWS, rows)
        await until_equal(settings, ARCHIVED, rows + 1)  # the archive has no partitions: it also holds the far line
        await until_equal(settings, UNBALANCED, 0)
        assert [process.process.poll() for process in processes if process.process] == [None, None, None]
    async with owner_connection(settings) as connection:
        letters = await connection.fetch('SELECT * FROM dead_letters ORDER BY partition, "offset"')
    assert {
        letter["original"]: letter["reason"] for letter in letters if letter["request_id"] is None
    } == dict.fromkeys(list(poison)[:3], "undecodable_record")
    assert {letter["original"] for letter in letters} >= {surrogate}
    assert sorted(letter["reason"] for letter in letters) == sorted(poison.values())
    requests, analysed = topic_name(settings, REQUESTS), topic_name(settings, ANALYSED)
    for letter in letters:
        expected = (analysed, "postgres_sink") if letter["reason"] == "timestamp_out_of_range" else (requests, None)
        assert letter["topic"] == expected[0]
        assert letter["step"] == (expected[1] or letter["step"])
        assert (letter["software_version"], letter["record_version"]) == (__version__, "1")
        assert letter["state"] == "dead"
    offsets = [letter["offset"] for letter in letters if letter["topic"] == requests]
    assert offsets == [1, 3, 5, 7, 9]


async def test_an_analysed_record_that_cannot_be_read_is_one_letter_and_stops_neither_sink(settings: Settings) -> None:
    quick = dataclasses.replace(settings, parquet_flush_seconds=0.2)
    bad = [
        b"\xc1",
        b"\x91" * 20_000 + b"\xc0",
        msgspec.msgpack.encode([[b"short", b"t" * 16, b"s" * 16, 1, b"", 0, [[]] * 11, []]]),
        msgspec.msgpack.encode([[b"r" * 16, b"t" * 16, b"s" * 16, 1, b"", 1, [[0], *[[]] * 10], []]]),
    ]
    with running_all(quick) as (_, postgres, parquet):
        await publish_to_sinks(settings, bad)
        await publish(settings, [join_bundle([encode_request(request_of(Entry("after")))])])
        await until_equal(settings, LETTERS, len(bad))
        await until_equal(settings, ROWS, 1)
        await until_equal(settings, ARCHIVED, 1)
        assert postgres.process is not None
        assert parquet.process is not None
        assert (postgres.process.poll(), parquet.process.poll()) == (None, None)
    async with owner_connection(settings) as connection:
        letters = await connection.fetch("SELECT reason, original FROM dead_letters")
    assert {letter["original"] for letter in letters} == set(bad)
    assert {letter["reason"] for letter in letters} == {"undecodable_record"}
