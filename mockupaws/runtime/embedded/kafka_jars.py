"""Fetches Kafka's jars: by coordinate and SHA-256 from a lock file, once, into a cache that checkouts share.

A download that was cut off goes on where it stopped; a file stands under its own name only once its digest is right.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import httpx
from jgo.constants import MAVEN_CENTRAL_URL

from mockupaws.runtime.errors import PermanentError

TRIES = 5
TIMEOUT_SECONDS = 30.0
"""For connecting and for each part of an answer."""
_CONNECTIONS = 6
_BLOCK_BYTES = 256 * 1024


class JarsMissingError(PermanentError):
    """Some jars could not be fetched."""


@dataclass(frozen=True, slots=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where any Maven repository keeps it."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def read_lock(text: str) -> list[Jar]:
    """Lines `group:artifact:version sha256:digest`; `#` begins a comment."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinates, _, digest = line.partition(" sha256:")
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, digest))
    return jars


def locked_jars() -> list[Jar]:
    return read_lock((files("mockupaws.runtime.embedded") / "kafka_jars.lock").read_text())


def jar_folder(environ: Mapping[str, str]) -> Path:
    """The cache: `$XDG_CACHE_HOME/mockupaws/kafka`, by default below `~/.cache`."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mockupaws" / "kafka"


def missing_jars(folder: Path, jars: Sequence[Jar]) -> list[Jar]:
    return [jar for jar in jars if not (folder / jar.file_name).exists()]


def fetch_jars(
    say: Callable[[str], object], folder: Path | None = None, jars: Sequence[Jar] | None = None, repository: str = ""
) -> Path:
    """Fetches what is missing and answers the folder. Raises JarsMissingError."""
    folder = folder or jar_folder(os.environ)
    missing = missing_jars(folder, locked_jars() if jars is None else jars)
    if not missing:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    say(f"fetching {len(missing)} jars of Apache Kafka (38 MB, once) into {folder}")
    with (
        httpx.Client(
            base_url=repository or MAVEN_CENTRAL_URL, timeout=TIMEOUT_SECONDS, follow_redirects=True
        ) as client,
        ThreadPoolExecutor(_CONNECTIONS) as threads,
    ):
        problems = [problem for problem in threads.map(lambda jar: _fetch(client, folder, jar), missing) if problem]
    if problems:
        raise JarsMissingError(
            f"{len(problems)} of {len(missing)} jars could not be fetched ({problems[0]}). What arrived is kept: "
            f"run it again with a network, or copy the jars of a machine that has them into {folder}"
        )
    return folder


def _fetch(client: httpx.Client, folder: Path, jar: Jar) -> str | None:
    """None once the jar stands there, else what went wrong."""
    part = folder / f"{jar.file_name}.part"
    problem = ""
    for _ in range(TRIES):
        try:
            _download(client, jar, part)
        except (httpx.HTTPError, OSError) as error:
            problem = f"{jar.file_name}: {type(error).__name__} {error}"
            continue
        if hashlib.sha256(part.read_bytes()).hexdigest() == jar.sha256:
            part.replace(folder / jar.file_name)
            return None
        problem = f"{jar.file_name}: its SHA-256 is not the one in the lock file"
        part.unlink()
    return problem


def _download(client: httpx.Client, jar: Jar, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    with client.stream("GET", jar.path, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
        if have and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is left to fetch: the digest tells whether it is whole
        answer.raise_for_status()
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as file:
            for block in answer.iter_bytes(_BLOCK_BYTES):
                file.write(block)
