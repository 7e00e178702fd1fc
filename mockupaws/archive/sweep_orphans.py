"""Objects that no manifest row names are deleted: a sink was killed after it put them, or its transaction failed.

Reads the manifest (`archive_objects`), lists and deletes in the archive. An orphan stands beside objects that the sink
archived when it tried again, so only folders (tenant, scenario, hour) with manifest rows of a window are listed: what a
run costs is bounded by what was archived in three hours, not by the archive. Nothing younger than a day is touched: a
sink may still commit what it has put. Readers never see an orphan, so a sweep that is late or fails costs only space.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import asyncpg

from mockupaws.archive.object_key import ObjectKey, ObjectKeyError
from mockupaws.archive.object_store import ObjectStore
from mockupaws.runtime.postgres import load_queries
from mockupaws.runtime.telemetry import ARCHIVE_ORPHANS_DELETED, get_logger

ORPHAN_AGE = timedelta(hours=24)
WINDOW = timedelta(hours=3)
"""Rows this much older still name the folders to look at: runs come hourly, and one may fail."""
MOST_FOLDERS = 5000
"""In one run; those left out are counted in the log."""
_QUERIES = load_queries("mockupaws.archive", "lifecycle.sql")

log = get_logger(__name__)


async def sweep_orphans(connection: asyncpg.Connection, store: ObjectStore, now: datetime) -> int:
    """How many were deleted. Raises what Postgres or the store raises; what was deleted until then stays so."""
    newest = now - ORPHAN_AGE
    folders = await connection.fetch(_QUERIES["archived_folders"], newest - WINDOW, newest, MOST_FOLDERS + 1)
    if len(folders) > MOST_FOLDERS:
        log.warning("orphans_not_looked_for_everywhere", folders=MOST_FOLDERS)
    deleted = 0
    for row in folders[:MOST_FOLDERS]:
        folder = row["object_key"].rpartition("/")[0]
        stored = await asyncio.to_thread(store.list_folder, folder)
        old = [found.key for found in stored if found.modified < newest and _is_ours(found.key)]
        known = {known["object_key"] for known in await connection.fetch(_QUERIES["known_objects"], old)}
        for key in old:
            if key not in known:
                await asyncio.to_thread(store.delete, key)
                ARCHIVE_ORPHANS_DELETED.inc()
                deleted += 1
    return deleted


def _is_ours(key: str) -> bool:
    """An object of a sink, or what a killed one left of a file it was writing."""
    folder, _, name = key.rpartition("/")
    if name.startswith("."):
        name = name[1:].rpartition(".")[0]
    try:
        ObjectKey.parse(f"{folder}/{name}")
    except ObjectKeyError:
        return False
    return True
