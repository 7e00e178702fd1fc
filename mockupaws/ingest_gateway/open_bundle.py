"""A bundle from its first request to its acknowledgement, and the requests that wait for that."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from mockupaws.ingest_gateway.bundles import Bundle


@dataclass(slots=True, eq=False)
class OpenBundle:
    bundle: Bundle
    acknowledged: asyncio.Future[None]
    began: float
    linger: asyncio.TimerHandle | None = None
    deadline: asyncio.TimerHandle | None = None
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """One for each request that waits until the deadline, and no longer."""
    producer: AIOKafkaProducer | None = None
    """Whom it was handed to."""

    def settle(self, error: Exception | None = None) -> None:
        """Once: an ack that comes after its producer was given up changes nothing."""
        if self.acknowledged.done():
            return
        if self.deadline is not None:
            self.deadline.cancel()
        self.tell(error)
        if error is None:
            self.acknowledged.set_result(None)
            return
        self.acknowledged.set_exception(error)
        self.acknowledged.exception()  # its requests may all have gone; nobody need look

    def tell(self, error: Exception | None) -> int:
        """The requests that still wait; answers how many did."""
        waiting = [future for future in self.waiting if not future.done()]
        self.waiting.clear()
        for future in waiting:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        return len(waiting)
