"""Objects that no manifest row names go after a day; everything else in the archive stays."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from mockupaws.archive.lifecycle import maintain
from mockupaws.archive.object_key import ObjectKey
from mockupaws.archive.object_store import open_store
from mockupaws.archive.sweep_orphans import ORPHAN_AGE, sweep_orphans
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.settings import Settings
from tests.integration.sinks.sink_process import (
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.sinks.stored import STORED

BUCKET = "swept-archive"


@pytest.fixture(params=["folder", "bucket"])
def archived(
    settings: Settings, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings of an archive."""
    if request.param == "folder":
        yield dataclasses.replace(settings, archive_url=f"file://{tmp_path}/archive", parquet_flush_seconds=0.1)
        return
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        fsspec.filesystem("s3", endpoint_url=url, skip_instance_cache=True).makedirs(BUCKET, exist_ok=True)
        yield dataclasses.replace(
            settings,
            archive_url=f"s3://{BUCKET}/{uuid.uuid4()}",
            archive_s3_endpoint_url=url,
            parquet_flush_seconds=0.1,
        )
    finally:
        server.stop()


async def test_orphans_go_after_a_day_and_nothing_else_does(archived: Settings) -> None:
    with running_sink(archived, "parquet"):
        await publish_requests(archived, analysed_request(["kept"]))
        await until_equal(archived, STORED["parquet"], 1)
    store = open_store(archived)
    now = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC)
    async with owner_connection(archived) as connection:
        kept = await connection.fetchval("SELECT object_key FROM archive_objects")
        folder, _, name = kept.rpartition("/")
        orphan = dataclasses.replace(ObjectKey.parse(kept), digest="0" * 16).format()
        unfinished = f"{folder}/.{name}.{uuid.uuid4().hex}"
        foreign = f"{folder}/notes.txt"
        for key in (orphan, unfinished, foreign):
            store.put(key, b"left behind")
        assert await sweep_orphans(connection, store, now) == 0
        assert await sweep_orphans(connection, store, now + ORPHAN_AGE + timedelta(hours=1)) == 2
        assert {found.key for found in store.list_folder(folder)} == {kept, foreign}
        assert await sweep_orphans(connection, store, now + ORPHAN_AGE + timedelta(hours=1)) == 0
        assert store.get(kept)
    assert store.list_folder("tenant_id=none") == []
    store.delete(orphan)


async def test_maintenance_sweeps_and_outlives_an_archive_that_is_away(archived: Settings) -> None:
    with running_sink(archived, "parquet"):
        await publish_requests(archived, analysed_request(["kept"]))
        await until_equal(archived, STORED["parquet"], 1)
    store = open_store(archived)
    async with owner_connection(archived) as connection:
        kept = await connection.fetchval("SELECT object_key FROM archive_objects")
    store.put(dataclasses.replace(ObjectKey.parse(kept), digest="0" * 16).format(), b"left behind")
    later = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC) + ORPHAN_AGE + timedelta(hours=1)
    away = dataclasses.replace(archived, archive_url="s3://away/x", archive_s3_endpoint_url="http://127.0.0.1:1")
    assert (await maintain(away, later)).orphans_deleted == 0
    assert (await maintain(archived, later)).orphans_deleted == 1
