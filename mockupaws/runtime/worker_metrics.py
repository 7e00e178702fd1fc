"""Prometheus metrics of worker processes that share one port: whichever of them is asked tells of all.

Each worker listens on a socket in a folder that only they know (`shared_metrics` makes it before they begin), and the
one that is asked collects what the others say now. Their series are told apart by a label, `worker`, from 1 on. Of a
single process nothing is different, and what counts pays nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FOLDER = "WORKER_METRICS_FOLDER"
_ANSWER_SECONDS = 2.0
"""A worker that takes longer is left out: its series miss one scrape."""


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """To be entered by the process that begins the workers, around them."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="mockupaws-") as folder:
        os.environ[_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER]


class WorkerMetrics:
    """Of this process, and of those that share its port."""

    def __init__(self) -> None:
        folder = os.environ.get(_FOLDER)
        self._folder = Path(folder) if folder else None

    @asynccontextmanager
    async def told(self) -> AsyncIterator[Self]:
        """Within, the others are told."""
        if self._folder is None:
            yield self
            return
        server = await asyncio.start_unix_server(self._tell, sock=_first_free(self._folder))
        try:
            yield self
        finally:
            server.close()

    async def text(self) -> bytes:
        """As Prometheus reads it."""
        if self._folder is None:
            return generate_latest()
        paths = sorted(self._folder.iterdir())
        told = await asyncio.gather(*(_ask(path) for path in paths))
        return merged({path.name: text for path, text in zip(paths, told, strict=True)})

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                writer.write(generate_latest())
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # who asked has gone
        finally:
            writer.close()


def merged(texts: Mapping[str, bytes]) -> bytes:
    """All series, each with the label `worker` of who told it. Pure."""
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        for told in text_string_to_metric_families(text.decode()):
            family = families.setdefault(told.name, Metric(told.name, told.documentation, told.type))
            for sample in told.samples:
                family.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _first_free(folder: Path) -> socket.socket:
    """Bound to the first number no other worker has."""
    for number in range(1, 1000):
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(str(folder / str(number)))
        except OSError:  # another worker's
            listening.close()
            continue
        listening.setblocking(False)
        return listening
    raise RuntimeError(f"no worker can listen in {folder}")


async def _ask(path: Path) -> bytes:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""
