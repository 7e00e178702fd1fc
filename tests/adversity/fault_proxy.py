"""A TCP proxy whose faults are set while it runs: what a network between two processes can do to them.

It runs on a thread and an event loop of its own, so that a busy test stalls no connection. All its methods may be
called from any thread and return once the change holds.

    with FaultProxy(port_of_the_server) as proxy:
        proxy.use(to_client=Faults(blackhole=True))  # requests arrive, answers don't
        ...
        proxy.heal()
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Literal, Self, TypeVar

from tests.adversity.faulty_flow import NONE, CutError, Faults, Flow

Direction = Literal["to_server", "to_client"]

CALL_SECONDS = 10.0
CONNECT_SECONDS = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST

_T = TypeVar("_T")


class Connection:
    """One client's connection through the proxy; to be had from `FaultProxy.connections`."""

    def __init__(self, proxy: FaultProxy, number: int, client: socket.socket, server: socket.socket) -> None:
        self.number = number
        self._proxy = proxy
        self._client, self._server = client, server
        self._flows: dict[Direction, Flow] = {
            "to_server": Flow(client, server, proxy.faults["to_server"], 2 * number),
            "to_client": Flow(server, client, proxy.faults["to_client"], 2 * number + 1),
        }
        self._run = asyncio.ensure_future(self._forward())

    def forwarded_bytes(self, direction: Direction) -> int:
        return self._flows[direction].forwarded_bytes

    def use(self, *, to_server: Faults = NONE, to_client: Faults = NONE) -> None:
        """These faults from now on, for this connection alone."""
        self._proxy.call(lambda: self.apply({"to_server": to_server, "to_client": to_client}))

    def reset(self) -> None:
        """Both sides get a reset; what was on the way is lost."""
        self._proxy.reset(self)

    def half_close(self, direction: Direction) -> None:
        """The receiver of that direction is told that nothing more comes; the other direction goes on."""
        self._proxy.call(self._flows[direction].close)

    def apply(self, faults: dict[Direction, Faults]) -> None:
        """On the proxy's loop only."""
        for direction, flow in self._flows.items():
            flow.use(faults[direction])

    def drop(self) -> asyncio.Future[None]:
        """On the proxy's loop only. The answer is done when both sides are closed."""
        self._run.cancel()
        return self._run

    async def _forward(self) -> None:
        ended_well = False
        try:
            async with asyncio.TaskGroup() as tasks:
                for flow in self._flows.values():
                    tasks.create_task(flow.run())
            ended_well = True
        except* CutError:
            self._proxy.cuts += 1
        except* OSError:
            pass
        finally:
            for side in (self._client, self._server):
                if ended_well:
                    side.close()
                else:
                    _reset(side)
            self._proxy.forget(self)


class FaultProxy:
    """Listens on a port of the loopback and forwards each connection to `target_port`."""

    def __init__(self, target_port: int, *, port: int = 0, target_host: str = "127.0.0.1") -> None:
        self.target = (target_host, target_port)
        self.cuts = 0
        """Connections the faults have cut so far."""
        self.faults: dict[Direction, Faults] = {"to_server": NONE, "to_client": NONE}
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self._connections: dict[int, Connection] = {}
        self._numbers = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._accept_task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"fault-proxy-{self.port}", daemon=True)
        self._thread.start()
        self.call(self._accept_from_now_on)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every connection and the thread."""
        if not self._loop.is_closed():
            self._await(self._shut_down())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_SECONDS)
            self._loop.close()

    @property
    def connections(self) -> list[Connection]:
        """Those open now, oldest first."""
        return self.call(lambda: list(self._connections.values()))

    def use(self, *, to_server: Faults = NONE, to_client: Faults = NONE) -> None:
        """These faults from now on, for all connections, those to come included."""

        def apply() -> None:
            self.faults = {"to_server": to_server, "to_client": to_client}
            for connection in self._connections.values():
                connection.apply(self.faults)

        self.call(apply)

    def heal(self) -> None:
        """No faults, and connections are taken again. What was held in a blackhole arrives now."""
        self.accept()
        self.use()

    def reset_all(self) -> None:
        """Every open connection gets a reset on both sides; what was on the way is lost."""
        self.reset()

    def reset(self, *connections: Connection) -> None:
        """These connections, or all."""
        self._await(self._drop(connections))

    def refuse(self) -> None:
        """New connections are refused, as where no process listens; those open stay."""
        self._await(self._stop_listening())

    def accept(self) -> None:
        """The opposite of `refuse`."""
        self.call(self._accept_from_now_on)

    def call(self, function: Callable[[], _T]) -> _T:
        """Runs `function` on the proxy's loop."""

        async def run() -> _T:
            return function()

        return self._await(run())

    def forget(self, connection: Connection) -> None:
        """On the proxy's loop only."""
        self._connections.pop(connection.number, None)

    def _await(self, work: Coroutine[None, None, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    def _accept_from_now_on(self) -> None:
        if self._accept_task is not None:
            return
        if self._listener.fileno() < 0:
            self._listener = _listen(self.port)
        self._accept_task = self._loop.create_task(self._accept())

    async def _accept(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                client, _ = await self._loop.sock_accept(self._listener)
                tasks.create_task(self._connect(client))

    async def _connect(self, client: socket.socket) -> None:
        client.setblocking(False)
        server = socket.socket()
        server.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._loop.sock_connect(server, self.target)
        except (OSError, TimeoutError, asyncio.CancelledError):
            _reset(client)
            _reset(server)
            return
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = next(self._numbers)
        self._connections[number] = Connection(self, number, client, server)

    async def _stop_listening(self) -> None:
        if self._accept_task is not None:
            self._accept_task.cancel()
            await asyncio.wait([self._accept_task])
            self._accept_task = None
        self._listener.close()

    async def _drop(self, connections: tuple[Connection, ...] = ()) -> None:
        ending = [connection.drop() for connection in connections or list(self._connections.values())]
        if ending:
            await asyncio.wait(ending)

    async def _shut_down(self) -> None:
        await self._stop_listening()
        await self._drop()


def _reset(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    side.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    listener.setblocking(False)
    return listener
