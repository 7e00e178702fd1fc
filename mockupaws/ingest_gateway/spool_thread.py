"""One spool file and the thread that alone touches it, awaited from the event loop.

Group commit: what waits when the thread is free becomes one transaction, and one sync answers for all of it. While a
sync runs the next group gathers, so a slow disk makes larger groups instead of a longer queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from mockupaws.ingest_gateway.salvage_spool import Salvage, open_or_salvage, salvage
from mockupaws.ingest_gateway.spool_file import (
    NewRequest,
    SpoolDamagedError,
    SpooledRequest,
    SpoolFile,
    SpoolTotals,
)
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.failpoints import FailpointHitError, hit
from mockupaws.runtime.telemetry import SPOOL_DAMAGED, SPOOLED_REQUESTS, get_logger

GROUP_REQUESTS = 1000
GROUP_BYTES = 4 * 1024 * 1024
RESERVED_BYTES = 32 * 1024 * 1024
"""Left free on the disk: deleting writes too, so a spool that took the last byte could never be drained."""

_T = TypeVar("_T")
_log = get_logger(__name__)


class SpoolFailedError(RetriableError):
    """The spool didn't take or give it; `reason` is full or failed."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SpoolBatch:
    """Requests to be sent to the brokers; handed back to `delete` once they are there."""

    requests: list[SpooledRequest]
    generation: int
    """Of the file: a salvaged one numbers its requests anew."""


@dataclass(slots=True, eq=False)
class _Append:
    request: NewRequest
    done: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class _Call:
    work: Callable[[], Any]
    done: asyncio.Future[Any]


class SpoolThread:
    """Made within a running event loop; `check` opens the file, and again after a failure."""

    def __init__(self, folder: Path, max_bytes: int, clock: Clock) -> None:
        self.totals = SpoolTotals()
        """What the file holds."""
        self.working = False
        """Whether the file is open and the last write went well."""
        self.appended = asyncio.Event()
        """Set with each append; whoever drains clears it."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._queued_bytes = 0
        self._jobs: SimpleQueue[_Append | _Call | None] = SimpleQueue()
        self._file: SpoolFile | None = None
        self._has_room = True
        self._generation = 0
        self._trouble = ""
        """What was last logged: the same again is no news."""
        self._thread = threading.Thread(target=self._run, name=f"spool {folder.name}", daemon=True)
        self._thread.start()

    @property
    def takes(self) -> bool:
        """Whether an append would be tried."""
        return self.working and self._has_room and self.totals.bytes + self._queued_bytes < self._max_bytes

    async def append(self, request: NewRequest) -> None:
        """Returns once the request is on disk. Raises SpoolFailedError."""
        if self.totals.bytes + self._queued_bytes + request.size > self._max_bytes:
            raise SpoolFailedError("full", "the spool is full")
        if not self.working:
            raise SpoolFailedError("failed", "the spool can't be written")
        job = _Append(request, self._loop.create_future())
        self._queued_bytes += request.size
        self._jobs.put(job)
        await job.done

    async def read(self, after: int, max_requests: int, max_bytes: int) -> SpoolBatch:
        """The oldest requests after sequence `after`. Raises SpoolFailedError."""

        def read() -> SpoolBatch:
            requests = self._with_file(lambda file: file.read(after, max_requests, max_bytes))
            return SpoolBatch(requests, self._generation)

        return await self._call(read)

    async def delete(self, batch: SpoolBatch, sequences: list[int]) -> None:
        """Forgets these requests of the batch. Raises SpoolFailedError; they are then read again."""

        def delete() -> None:
            if batch.generation == self._generation:
                hit("gateway.before_spool_deleted")
                self._with_file(lambda file: self._delete(file, batch, set(sequences)))

        await self._call(delete)

    async def check(self) -> None:
        """Looks for room on the disk; opens a file that isn't open, and tries one that failed to write."""
        with contextlib.suppress(SpoolFailedError):
            await self._call(self._check)

    async def close(self) -> None:
        """Writes what was queued and takes nothing more."""
        self.working = False
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _call(self, work: Callable[[], _T]) -> _T:
        job = _Call(work, self._loop.create_future())
        self._jobs.put(job)
        result: _T = await job.done
        return result

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            self._work()
        except BaseException:
            # A defect. Without its spool the process would promise what it can't keep; a fresh one is started.
            _log.exception("spool_thread_failed")
            os._exit(70)

    def _work(self) -> None:
        ended = False
        while not ended:
            appends: list[_Append] = []
            calls: list[_Call] = []
            for job in self._waiting_jobs():
                match job:
                    case _Append():
                        appends.append(job)
                    case _Call():
                        calls.append(job)
                    case None:
                        ended = True
            self._append(appends)
            for call in calls:
                self._answer(call)
        if self._file is not None:
            self._file.close()

    def _waiting_jobs(self) -> list[_Append | _Call | None]:
        jobs = [self._jobs.get()]
        size = 0
        with contextlib.suppress(Empty):
            while len(jobs) < GROUP_REQUESTS and size < GROUP_BYTES:
                job = self._jobs.get_nowait()
                size += job.request.size if isinstance(job, _Append) else 0
                jobs.append(job)
        return jobs

    def _append(self, jobs: list[_Append]) -> None:
        if not jobs:
            return
        requests = [job.request for job in jobs if not job.done.cancelled()]
        size = sum(request.size for request in requests)
        now_us = self._clock.now_us()
        error = None
        try:
            if requests:
                self._look_for_room()
                if not self._has_room:
                    raise SpoolFailedError("full", "the disk is nearly full")
                hit("gateway.before_spooled")
                self._with_file(lambda file: file.append(requests, now_us))
                hit("gateway.after_spooled")
                SPOOLED_REQUESTS.inc(len(requests))
                self._change(requests=len(requests), size=size, oldest_at_us=self.totals.oldest_at_us or now_us)
        except (SpoolFailedError, FailpointHitError) as failure:
            error = failure if isinstance(failure, SpoolFailedError) else SpoolFailedError("failed", str(failure))
        self._post(self._settle, jobs, error)

    def _delete(self, file: SpoolFile, batch: SpoolBatch, sequences: set[int]) -> None:
        gone = [each for each in batch.requests if each.sequence in sequences]
        file.delete([each.sequence for each in gone])
        self._change(
            requests=-len(gone), size=-sum(each.request.size for each in gone), oldest_at_us=file.oldest_at_us()
        )
        if not self.totals.requests:
            file.compact()

    def _answer(self, job: _Call) -> None:
        try:
            result = job.work()
        except (SpoolFailedError, FailpointHitError) as failure:
            error = failure if isinstance(failure, SpoolFailedError) else SpoolFailedError("failed", str(failure))
            self._post(_set_exception, job.done, error)
        else:
            self._post(_set_result, job.done, result)

    def _open(self) -> None:
        try:
            self._file, result = open_or_salvage(self._folder)
            self._opened(self._file, result)
        except (OSError, sqlite3.Error, SpoolDamagedError) as error:
            raise self._failure(error) from error

    def _check(self) -> None:
        self._look_for_room()
        if self._file is None:
            self._open()
        elif not self.working:
            self._with_file(lambda file: file.probe(self._clock.now_us()))
            self._succeed()

    def _look_for_room(self) -> None:
        # Where the folder can't be asked, opening or writing says why.
        with contextlib.suppress(OSError):
            disk = os.statvfs(self._folder)
            self._has_room = disk.f_bavail * disk.f_frsize >= RESERVED_BYTES

    def _opened(self, file: SpoolFile, result: Salvage | None) -> None:
        if result is not None:
            SPOOL_DAMAGED.labels("salvaged").inc(result.salvaged)
            SPOOL_DAMAGED.labels("lost").inc(result.lost)
        self._generation += 1
        self.totals = file.totals()
        self._succeed()
        self._post(self.appended.set)

    def _with_file(self, work: Callable[[SpoolFile], _T]) -> _T:
        """Salvages a file that turns out damaged and works on. Raises SpoolFailedError."""
        if self._file is None:
            raise SpoolFailedError("failed", "the spool is not open")
        try:
            try:
                return work(self._file)
            except SpoolDamagedError as damage:
                self._file.close()
                self._file = None
                self._file, result = salvage(self._folder, damage)
                self._opened(self._file, result)
                return work(self._file)
        except (OSError, sqlite3.Error, SpoolDamagedError) as error:
            raise self._failure(error) from error

    def _succeed(self) -> None:
        self.working = True
        self._trouble = ""

    def _failure(self, error: Exception) -> SpoolFailedError:
        self.working = False
        full = isinstance(error, sqlite3.Error) and error.sqlite_errorcode == sqlite3.SQLITE_FULL
        if not full and self._file is not None:  # what a failed sync left is looked at afresh
            self._file.close()
            self._file = None
        if str(error) != self._trouble:
            self._trouble = str(error)
            _log.error("spool_failed", folder=str(self._folder), error=self._trouble)
        return SpoolFailedError("full" if full else "failed", str(error))

    def _change(self, requests: int, size: int, oldest_at_us: int | None) -> None:
        totals = self.totals
        self.totals = replace(
            totals, requests=totals.requests + requests, bytes=totals.bytes + size, oldest_at_us=oldest_at_us
        )

    def _post(self, callback: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)

    # And this in the event loop again.

    def _settle(self, jobs: list[_Append], error: SpoolFailedError | None) -> None:
        for job in jobs:
            self._queued_bytes -= job.request.size
            if error is None:
                _set_result(job.done, None)
            else:
                _set_exception(job.done, error)
        if error is None:
            self.appended.set()


def _set_result(done: asyncio.Future[Any], result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _set_exception(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
