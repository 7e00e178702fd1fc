"""What the archive holds, in a folder and on a real S3 server."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Iterator

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from mockupaws.archive.object_key import ObjectKey
from mockupaws.archive.object_store import open_store
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.parquet import ARCHIVE_SCHEMA
from tests.integration.sinks.sink_process import (
    SCENARIO,
    TENANT,
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)

ARCHIVED = "SELECT coalesce(sum(row_count), 0) FROM archive_objects"


@pytest.fixture
def bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings whose archive is a bucket of a real S3 server on loopback."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        fsspec.filesystem("s3", endpoint_url=url, skip_instance_cache=True).mkdir("archive")
        yield dataclasses.replace(settings, archive_url="s3://archive/a/b", archive_s3_endpoint_url=url)
    finally:
        server.stop()


async def assert_archived(settings: Settings) -> None:
    """Two requests, one of them twice, end in one object an hour; the manifest tells what it holds."""
    requests = [analysed_request(["häagen", "😀" * 600]), analysed_request(["third"])]
    settings = dataclasses.replace(settings, parquet_flush_seconds=0.2)
    with running_sink(settings, "parquet"):
        await publish_requests(settings, *requests, requests[0])
        await until_equal(settings, ARCHIVED, 3)
        await publish_requests(settings, requests[1], analysed_request(["fourth"]))
        await until_equal(settings, ARCHIVED, 4)
    store = open_store(settings)
    tables = []
    async with owner_connection(settings) as connection:
        objects = await connection.fetch("SELECT * FROM archive_objects ORDER BY first_offset")
    for row in objects:
        content = store.get(row["object_key"])
        assert hashlib.sha256(content).digest() == row["sha256"]
        assert len(content) == row["size_bytes"]
        key = ObjectKey.parse(row["object_key"])
        assert (key.tenant_id, key.scenario_id, key.hour) == (TENANT, SCENARIO, row["hour"])
        assert (key.partition, key.first_offset, key.last_offset) == (0, row["first_offset"], row["last_offset"])
        tables.append(pq.read_table(io.BytesIO(content)))
        assert tables[-1].num_rows == row["row_count"]
    table = pa.concat_tables(tables)
    assert table.schema.equals(ARCHIVE_SCHEMA)
    assert table["message"].to_pylist() == ["häagen", "😀" * 600, "third", "fourth"]
    assert table["pii_types"].to_pylist() == [[], ["EMAIL"], [], []]
    assert table["policy_version"].to_pylist() == [0, 0, 0, 0]


async def test_the_archive_in_a_folder(settings: Settings) -> None:
    await assert_archived(settings)


async def test_the_archive_in_a_bucket(bucket: Settings) -> None:
    await assert_archived(bucket)
