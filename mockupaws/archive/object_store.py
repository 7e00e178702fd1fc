"""Where archive objects live: a folder (file://) or an S3 bucket (s3://). An object appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import fsspec

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import Settings

CONNECT_SECONDS = 5
READ_SECONDS = 30
_ATTEMPTS = 3
_SINGLE_PUT_BYTES = 5 * 1024**3 - 1
"""S3 takes up to 5 GiB in one PUT, which is atomic; multipart uploads leave orphans and may half succeed."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    modified: datetime


class ObjectStore(Protocol):
    """Calls block: run them in a thread."""

    def put(self, key: str, content: bytes) -> None:
        """Durable when it returns. Writing the same content again is harmless."""
        ...

    def get(self, key: str) -> bytes: ...

    def list_folder(self, folder: str) -> list[StoredObject]:
        """What stands directly in it, also what a killed process left unfinished; nothing where there is none."""
        ...

    def delete(self, key: str) -> None:
        """Harmless where it is gone already."""
        ...


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes) -> None:
        target = self._folder / key
        new_folders = [target.parent, *[p for p in target.parent.parents if not p.exists()]]
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        for folder in new_folders:
            _sync_folder(folder)
            _sync_folder(folder.parent)

    def get(self, key: str) -> bytes:
        return (self._folder / key).read_bytes()

    def list_folder(self, folder: str) -> list[StoredObject]:
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder / folder) as entries:
            for entry in entries:
                modified = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                found.append(StoredObject(f"{folder}/{entry.name}", modified))
        return found

    def delete(self, key: str) -> None:
        (self._folder / key).unlink(missing_ok=True)


class BucketStore:
    def __init__(self, filesystem: Any, prefix: str) -> None:
        self._filesystem = filesystem
        self._prefix = prefix

    def put(self, key: str, content: bytes) -> None:
        path = f"{self._prefix}/{key}"
        self._filesystem.pipe_file(path, content, chunksize=_SINGLE_PUT_BYTES)
        try:
            size = self._filesystem.info(path, refresh=True)["size"]
        except FileNotFoundError as error:  # answered with 200 and an error as its body; the bucket itself is there
            raise OSError(f"S3 acknowledged {key} and doesn't hold it") from error
        if size != len(content):
            raise OSError(f"S3 holds {size} bytes of {key} after a put of {len(content)}")

    def get(self, key: str) -> bytes:
        content: bytes = self._filesystem.cat_file(f"{self._prefix}/{key}")
        return content

    def list_folder(self, folder: str) -> list[StoredObject]:
        try:
            entries = self._filesystem.ls(f"{self._prefix}/{folder}", detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return [
            StoredObject(f"{folder}/{entry['name'].rpartition('/')[2]}", entry["LastModified"])
            for entry in entries
            if entry["type"] == "file"
        ]

    def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._filesystem.rm_file(f"{self._prefix}/{key}")


def open_store(settings: Settings) -> ObjectStore:
    """The store `archive_url` names. Raises SettingsError; connects to nothing yet."""
    scheme, _, rest = settings.archive_url.partition("://")
    match scheme:
        case "file":
            return FolderStore(Path(rest))
        case "s3":
            filesystem = fsspec.filesystem(
                "s3",
                endpoint_url=settings.archive_s3_endpoint_url or None,
                skip_instance_cache=True,
                use_listings_cache=False,
                config_kwargs={
                    "connect_timeout": CONNECT_SECONDS,
                    "read_timeout": READ_SECONDS,
                    "retries": {"max_attempts": _ATTEMPTS, "mode": "standard"},
                },
            )
            return BucketStore(filesystem, rest.rstrip("/"))
    raise SettingsError("MOCKUPAWS_ARCHIVE_URL must be file:///folder or s3://bucket/prefix")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
