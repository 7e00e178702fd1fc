"""S3 refuses, breaks off or lies at each step of a put: in the end each line is archived once, whole and as told."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import uuid
from collections.abc import Iterator

import fsspec
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from mockupaws.archive.object_store import READ_SECONDS, open_store
from mockupaws.runtime.settings import Settings
from tests.integration.sinks.s3_fault_proxy import FAULTS, Fault, S3FaultProxy
from tests.integration.sinks.sink_process import (
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.sinks.stored import STORED

BUCKET = "faulty-archive"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3FaultProxy]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        filesystem = fsspec.filesystem("s3", endpoint_url=f"http://{host}:{port}", skip_instance_cache=True)
        filesystem.makedirs(BUCKET, exist_ok=True)
        with S3FaultProxy(host, port, stall_seconds=READ_SECONDS + 5) as proxy:
            yield proxy
    finally:
        server.stop()


@pytest.fixture
def settings(settings: Settings, proxy: S3FaultProxy) -> Settings:
    url = f"s3://{BUCKET}/{uuid.uuid4()}"
    return dataclasses.replace(settings, archive_url=url, archive_s3_endpoint_url=proxy.url, parquet_flush_seconds=0.1)


async def assert_archived(settings: Settings, lines: int) -> None:
    """By the manifest: offset ranges don't overlap, content is as it says, each line is there once."""
    store = open_store(settings)
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT * FROM archive_objects ORDER BY partition, first_offset")
    ids: list[object] = []
    end = -1
    for row in rows:
        assert row["first_offset"] > end
        end = row["last_offset"]
        content = store.get(row["object_key"])
        assert hashlib.sha256(content).digest() == row["sha256"]
        ids += pq.read_table(io.BytesIO(content))["id"].to_pylist()
    assert (len(ids), len(set(ids))) == (lines, lines)


@pytest.mark.parametrize("step", ["PUT", "HEAD"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_that_outlasts_the_clients_own_retries(
    settings: Settings, proxy: S3FaultProxy, step: str, fault: Fault
) -> None:
    with running_sink(settings, "parquet") as sink:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED["parquet"], 1)
        proxy.fail(step, fault, 8)
        await publish_requests(settings, *[analysed_request([f"line {n}" for n in range(50)]) for _ in range(4)])
        await until_equal(settings, STORED["parquet"], 201, seconds=90)
        assert proxy.done > 0
        assert sink.process is not None
        assert sink.process.poll() is None, "it went on without a restart"
    await assert_archived(settings, 201)


async def test_a_server_that_stalls_is_given_up(settings: Settings, proxy: S3FaultProxy) -> None:
    with running_sink(settings, "parquet"):
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED["parquet"], 1)
        proxy.fail("PUT", "stall", 1)
        await publish_requests(settings, analysed_request(["after"]))
        await until_equal(settings, STORED["parquet"], 2, seconds=150)
    await assert_archived(settings, 2)
