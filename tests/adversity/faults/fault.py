"""A named fault: what it is, what it does while load runs, and how long the system may take to come back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.adversity.drilled_stack import DrilledStack
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.adversity.load import Load, Producer

Stack = Literal["ordinary", "small disks"]
"""Faults of one stack share its start. `small disks`: Kafka's and Postgres' data stand on file systems that fill up."""


class NotInjectedError(Exception):
    """The fault could not be brought about: a trial without it would prove nothing."""


@dataclass(slots=True)
class Scene:
    """What a fault works on."""

    stack: DrilledStack
    load: Load
    producers: list[Producer]
    chance: random.Random
    expectations: list[Callable[[], Awaitable[str]]] = field(default_factory=list)
    """Looked at when all is quiet again; each answers what is wrong, or nothing."""

    def expect(self, check: Callable[[], Awaitable[str]]) -> None:
        self.expectations.append(check)

    async def flow(self, requests: int = 10, seconds: float = 30.0) -> None:
        """Until that many more requests were accepted. Raises NotInjectedError: there is no load to disturb."""
        if not await self.load.wait_for_accepted(requests, seconds):
            raise NotInjectedError(f"no {requests} requests were accepted within {seconds:.0f} s")

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
        """Raises NotInjectedError."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise NotInjectedError(f"not within {seconds:.0f} s: {what}")
            await asyncio.sleep(0.05)

    async def until_async(self, condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 30.0) -> None:
        """Raises NotInjectedError."""
        deadline = time.monotonic() + seconds
        while not await condition():
            if time.monotonic() > deadline:
                raise NotInjectedError(f"not within {seconds:.0f} s: {what}")
            await asyncio.sleep(0.2)


Inject = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    name: str
    number: str
    """Of docs/reliability.md."""
    what: str
    inject: Inject | None
    """Runs under load; what it leaves behind, `DrilledStack.heal` takes away. None: can't be done here."""
    stack: Stack = "ordinary"
    recovery_seconds: float = 60.0
    """From the fault's end until all processes are ready and a request is accepted (I10)."""
    mixed: bool = True
    """May be one of several in a row; those that take long alone are not."""
    short: bool = False
    """Belongs to `make test`."""
    skipped: Callable[[], str] = lambda: ""
    """Why it can't be done on this machine; empty where it can."""


async def disturb(proxies: Sequence[FaultProxy], to_server: Faults, to_client: Faults, seconds: float) -> None:
    """Faults on these ways for a while; then every connection on them is reset."""
    for proxy in proxies:
        proxy.use(to_server=to_server, to_client=to_client)
    await asyncio.sleep(seconds)
    for proxy in proxies:
        proxy.reset_all()
