"""Fetches Kafka's jars once a machine: what `kafka_jars.lock` names, byte for byte, into a cache that checkouts share.

A download that breaks off is continued where it stopped; a file stands under its name only after its SHA-256 agreed,
so a reader never sees a part, and a server that lies or cuts is noticed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import certifi
import httpx

from mockupaws.runtime.errors import RetriableError

LOCK_FILE = "kafka_jars.lock"
ATTEMPTS = 6
FIRST_PAUSE_SECONDS = 0.5
"""Doubles after each attempt that brought nothing."""
TIMEOUT_SECONDS = 20.0
"""For connecting and for each read: a connection that stalls is dropped and continued."""
PARALLEL = 6
CHUNK_BYTES = 256 * 1024
_REPORTS = 4
"""Progress lines of a whole download."""

Say = Callable[[str], object]


class JarsUnreachableError(RetriableError):
    """A jar could not be downloaded."""


@dataclass(frozen=True, slots=True)
class Jar:
    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path_in_repository(self) -> str:
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def read_lock(text: str) -> list[Jar]:
    """Lines of `group:artifact:version bytes sha256`; `#` begins a comment."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [_jar(*line) for line in lines if line]


def _jar(coordinates: str, size_bytes: str, sha256: str) -> Jar:
    group, artifact, version = coordinates.split(":")
    return Jar(group, artifact, version, int(size_bytes), sha256)


def locked_jars() -> list[Jar]:
    return read_lock((files(__package__) / LOCK_FILE).read_text(encoding="utf-8"))


def jars_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Outside the checkout, so that `make clean` and a second checkout need no second download."""
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache and Path(cache).is_absolute() else Path.home() / ".cache") / "mockupaws" / "kafka"


def fetch_jars(
    say: Say,
    *,
    folder: Path | None = None,
    jars: Sequence[Jar] | None = None,
    repository: str | None = None,
    first_pause_seconds: float = FIRST_PAUSE_SECONDS,
) -> list[Path]:
    """The jars as files whose SHA-256 was checked in this call, downloaded where missing or damaged.

    Raises JarsUnreachableError; what was loaded by then is kept and the next call goes on from there.
    """
    folder = folder or jars_folder()
    jars = locked_jars() if jars is None else jars
    folder.mkdir(parents=True, exist_ok=True)
    with _hold(folder / "lock"):
        missing = [jar for jar in jars if _digest(folder / jar.file_name) != jar.sha256]
        if missing:
            address = _maven_central() if repository is None else repository
            progress = _Progress(say, sum(jar.size_bytes for jar in missing))
            say(f"fetching Kafka: {len(missing)} files, {progress.total_bytes / 1e6:.0f} MB, into {folder}")
            _download_all(missing, folder, address, progress, first_pause_seconds)
    return [folder / jar.file_name for jar in jars]


def _download_all(jars: Sequence[Jar], folder: Path, repository: str, progress: _Progress, pause: float) -> None:
    with (
        httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True, verify=_trusted()) as client,
        ThreadPoolExecutor(PARALLEL, thread_name_prefix="jars") as pool,
    ):
        downloads = [pool.submit(_download, client, repository, jar, folder, progress, pause) for jar in jars]
        try:
            for download in downloads:
                download.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # the first refusal is enough to know
            raise


def _download(client: httpx.Client, repository: str, jar: Jar, folder: Path, progress: _Progress, pause: float) -> None:
    part = folder / f"{jar.file_name}.part"
    url = f"{repository.rstrip('/')}/{jar.path_in_repository}"
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause)
            pause *= 2
        try:
            _continue_part(client, url, part, jar.size_bytes, progress)
        except httpx.HTTPStatusError as error:
            problem = f"{url} answered {error.response.status_code}"
            continue
        except httpx.HTTPError as error:
            problem = f"{url}: {type(error).__name__} {error}".strip()
            continue
        if part.stat().st_size < jar.size_bytes:
            problem = f"{url} ended after {part.stat().st_size:,} of {jar.size_bytes:,} bytes"
            continue
        if _digest(part) == jar.sha256:
            part.replace(folder / jar.file_name)
            return
        part.unlink()
        problem = f"{url} brought other bytes than {LOCK_FILE} expects"
    raise JarsUnreachableError(
        f"Kafka could not be fetched: {problem}. Check the network (or set HTTPS_PROXY) and run this again: it goes on "
        f"where it stopped. Without a network, copy the folder {folder} from a machine that has it."
    )


def _continue_part(client: httpx.Client, url: str, part: Path, size_bytes: int, progress: _Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > size_bytes:
        part.unlink()
        have = 0
    if have == size_bytes:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                file.write(chunk)
                progress.add(len(chunk))
                if file.tell() > size_bytes:
                    return  # not our file, whatever it is: its hash will say so


class _Progress:
    """Says a few times how far all downloads together are."""

    def __init__(self, say: Say, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self._say = say
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            step = max(self.total_bytes // _REPORTS, 1)
            before, self._bytes = self._bytes // step, self._bytes + count
            if self._bytes // step > before:
                self._say(f"  {self._bytes / 1e6:.0f} of {self.total_bytes / 1e6:.0f} MB")


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


@contextmanager
def _hold(lock_file: Path) -> Iterator[None]:
    """One download at a time for all checkouts; the kernel gives the lock back however its holder ends."""
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _trusted() -> ssl.SSLContext:
    """The machine's own certificates, which know a company's proxy, and certifi's, where Python finds no others."""
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=certifi.where())
    return context


def _maven_central() -> str:
    from jgo.constants import MAVEN_CENTRAL_URL  # slow to import, and needed once a machine

    return str(MAVEN_CENTRAL_URL)
