"""A spool → the brokers, oldest first, while they acknowledge.

Order of one batch:
1. it is read, and each request joins the publisher's bundles as a live one would;
2. the brokers acknowledge;
3. what they acknowledged is deleted. A kill before that sends it again, and the sinks drop the repeat.
A request that is too large for the brokers stays, is passed, and tried again from time to time: their limit may be
raised. One batch is on its way at a time, and is small beside what the publisher may have pending, so live requests go
on.
"""

from __future__ import annotations

import asyncio
import time

from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.publish import NotAcknowledgedError, Publisher, TooLargeTogetherError
from mockupaws.ingest_gateway.spool_file import SpooledRequest
from mockupaws.ingest_gateway.spool_thread import SpoolBatch, SpoolFailedError, SpoolThread
from mockupaws.runtime.telemetry import SPOOL_DRAINED, SPOOL_STUCK, get_logger

BATCH_REQUESTS = 500
BATCH_BYTES = 1024 * 1024
PAUSE_SECONDS = 0.25
"""Between looks at whether the brokers acknowledge again."""
ACK_SECONDS = 10.0
"""How long a batch is waited for before it is read again; meanwhile the publisher replaces a wedged producer."""

LEFT_SECONDS = 5.0
"""After which what was too large is tried again."""

_log = get_logger(__name__)


class SpoolDrain:
    """Of one spool, for the life of its process."""

    def __init__(self, spool: SpoolThread, publisher: Publisher) -> None:
        self._spool = spool
        self._publisher = publisher
        self._after = 0
        """What stands up to here is too large for the brokers."""
        self._try_again_at = 0.0
        self._generation = 0
        self._acknowledged: tuple[SpoolBatch, list[int]] | None = None
        """On the brokers, and not deleted yet."""

    async def until_empty(self) -> None:
        """Returns when the spool holds nothing more that the brokers would take."""
        if time.monotonic() >= self._try_again_at:
            self._after = 0
        while True:
            if not (self._publisher.flows and self._spool.working):
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            try:
                await self._delete()
                batch = await self._spool.read(self._after, BATCH_REQUESTS, BATCH_BYTES)
                if batch.generation != self._generation:
                    self._after, self._generation = 0, batch.generation
                elif not batch.requests:
                    return
                else:
                    await self._send(batch)
            except (SpoolFailedError, NotAcknowledgedError):
                await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, batch: SpoolBatch) -> None:
        """Raises NotAcknowledgedError where some of it has no ack, SpoolFailedError where it can't be deleted."""
        sent: list[tuple[SpooledRequest, asyncio.Future[None]]] = []
        complete = True
        for spooled in batch.requests:
            try:
                sent.append((spooled, self._publisher.send(*spooled.request)))
            except NotAcknowledgedError:
                complete = False
                break
        if sent:
            await asyncio.wait({acknowledged for _, acknowledged in sent}, timeout=ACK_SECONDS)
        durable: list[int] = []
        for spooled, acknowledged in sent:
            if not acknowledged.done():
                complete = False
            elif (failure := acknowledged.exception()) is None:
                durable.append(spooled.sequence)
            elif not isinstance(failure, TooLargeTogetherError):
                complete = False
            else:
                try:
                    async with asyncio.timeout(ACK_SECONDS):
                        await self._publisher.publish_alone(spooled.request.request_id, spooled.request.encoded)
                    durable.append(spooled.sequence)
                except (NotAcknowledgedError, TimeoutError):
                    complete = False
                except RefusedError:
                    if complete:  # else it is read again, with what stands before it
                        self._leave(spooled)
        if durable:
            self._acknowledged = batch, durable
            await self._delete()
        if not complete:
            raise NotAcknowledgedError("some of the batch has no ack")

    async def _delete(self) -> None:
        if self._acknowledged is not None:
            await self._spool.delete(*self._acknowledged)
            SPOOL_DRAINED.inc(len(self._acknowledged[1]))
            self._acknowledged = None

    def _leave(self, spooled: SpooledRequest) -> None:
        self._after = spooled.sequence
        self._try_again_at = time.monotonic() + LEFT_SECONDS
        SPOOL_STUCK.inc()
        _log.error("spooled_request_too_large", sequence=spooled.sequence, bytes=len(spooled.request.encoded))
