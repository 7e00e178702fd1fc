"""The one condition of a 202: the request is on the brokers' disks or in the synced spool, within the deadline."""

from __future__ import annotations

import asyncio

from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.publish import NotAcknowledgedError, Publisher
from mockupaws.ingest_gateway.spool import Spool
from mockupaws.ingest_gateway.spool_file import NewRequest
from mockupaws.ingest_gateway.spool_thread import SpoolFailedError
from mockupaws.runtime.telemetry import SPOOL_REFUSALS


async def make_durable(publisher: Publisher, spool: Spool, request: NewRequest, deadline: float) -> None:
    """Returns when the request is durable; `deadline` is a time of the event loop. Raises RefusedError (503, 413).

    A request that was sent and not acknowledged in time is spooled too: it may then stand twice in Kafka, under one
    id, and the sinks drop the repeat.
    """
    try:
        await publisher.publish(*request)
    except NotAcknowledgedError as cause:
        try:
            async with asyncio.timeout_at(deadline):
                await spool.append(request)
        except TimeoutError:
            SPOOL_REFUSALS.labels("deadline").inc()
            raise _not_durable() from cause
        except SpoolFailedError:
            raise _not_durable() from cause


def _not_durable() -> RefusedError:
    return RefusedError(
        "not_durable",
        "neither the brokers nor the spool took the request in time; "
        "send again with the same Idempotency-Key, so that nothing counts twice",
    )
