"""Clients and their clocks: duplicate storms, bombs, trickles, replays, and a gateway whose time jumps."""

from __future__ import annotations

import asyncio
import gzip
import signal
from datetime import UTC, datetime, timedelta

import httpx
import zstandard
from redis.asyncio import Redis

from mockupaws.runtime.clock import SystemClock
from tests.adversity.faults.fault import Fault, Inject, Scene
from tests.adversity.faults.half_sent import leave_after_body, trickle
from tests.adversity.load import read_answer

SLOW_CLIENTS = 200
BOMB_BYTES = 200_000_000
STORM = 150
LETTERS = 20
CLOCK_SECONDS = 1.0
"""For what is on its way, and until the shift is read."""


async def duplicate_storm(scene: Scene) -> None:
    """At once; and again when nobody but the sinks remembers: the gateway is another, its cache is empty."""
    plans = [scene.load.plan_keyed(lines) for lines in (1, 20, 200)]
    for plan in plans:
        await scene.load.send_copies(plan, range(STORM))
    pid = scene.stack.pid_of("gateway")
    scene.stack.signal("gateway", signal.SIGKILL)
    await scene.until(lambda: scene.stack.pid_of("gateway") not in (None, pid), "another gateway runs")
    redis = Redis.from_url(scene.stack.settings.redis_url)
    await redis.flushall()
    await redis.aclose()
    for plan in plans:
        await scene.load.send_copies(plan, range(STORM, STORM + 10))


async def clients_leave(scene: Scene) -> None:
    """A hundred clients send all of a request and are gone before the answer."""
    send = leave_after_body(scene.stack.settings.gateway_port)
    for _ in range(10):
        await asyncio.gather(*(scene.load.send_raw(10, send) for _ in range(10)))


async def slow_clients(scene: Scene) -> None:
    """Bodies that come byte by byte; everybody else is served meanwhile."""
    stop = asyncio.Event()
    send = trickle(scene.stack.settings.gateway_port, 20.0, stop)
    slow = [asyncio.create_task(scene.load.send_raw(3, send)) for _ in range(SLOW_CLIENTS)]
    await asyncio.sleep(1)
    await scene.flow(60)
    await asyncio.sleep(5)
    stop.set()
    await asyncio.gather(*slow)


async def bombs(scene: Scene) -> None:
    """Each is refused for good, with a documented answer."""
    producer = scene.producers[0]
    head = b'{"scenario_id":"%b","logs":[{"message":"' % str(producer.scenario_id).encode()
    bomb = head + b"a" * BOMB_BYTES
    corpus: list[tuple[str, bytes]] = [
        ("gzip", gzip.compress(bomb)),
        ("zstd", zstandard.compress(bomb)),
        ("gzip", gzip.compress(head)[:-9]),
        ("zstd", b"\x28\xb5\x2f\xfd\xa4" + b"\xff" * 40),
        ("deflate", b"\x78\x9c" + b"\xff" * 100),
        ("", b"[" * 100_000),
        ("", head + b"x" * 11_000_000),
        ("", b'{"scenario_id":"%b","logs":[%b]}' % (str(producer.scenario_id).encode(), b"1," * 20_000 + b"1")),
        ("", b"\xff\xfe" + head.decode().encode("utf-16")),
    ]
    answers = []
    async with httpx.AsyncClient(timeout=30) as client:
        for encoding, body in corpus:
            headers = {"Authorization": f"Bearer {producer.api_key}", "Content-Type": "application/json"}
            headers |= {"Content-Encoding": encoding} if encoding else {}
            url = f"{scene.stack.ingest_url}/api/v1/ingest"
            answer = await client.post(url, content=body, headers=headers)
            answers.append(read_answer(0, 0, answer.status_code, answer.content))
    wrong = [f"{number}: {a.status} {a.code} {a.defect}" for number, a in enumerate(answers) if a.outcome != "fail"]
    wrong += [f"{number}: {a.defect}" for number, a in enumerate(answers) if a.defect]

    async def all_refused() -> str:
        return f"bombs not refused as documented: {wrong}" if wrong else ""

    scene.expect(all_refused)
    await scene.flow()


def clock_jumps(seconds: float, while_seconds: float) -> Inject:
    async def inject(scene: Scene) -> None:
        scene.stack.shift_clock(seconds)
        await asyncio.sleep(while_seconds)
        scene.stack.shift_clock(0)
        await scene.flow()

    return inject


async def clock_beyond_partitions(scene: Scene) -> None:
    """A few requests only: a hundred dead letters in a row hold the sink until an operator looks, as they should."""
    scene.load.pause()
    scene.stack.shift_clock(400 * 86_400)
    await asyncio.sleep(CLOCK_SECONDS)
    for lines in range(1, LETTERS + 1):
        await scene.load.send_copies(scene.load.plan_keyed(lines), range(1))
    scene.stack.shift_clock(0)
    await asyncio.sleep(CLOCK_SECONDS)
    scene.load.resume()
    await scene.flow()


async def replayed_twice(scene: Scene) -> None:
    """`mockupaws replay` of what is being sent, twice, while it is being sent: all of it is there already."""
    await scene.flow(60)
    now = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC)
    window = ("--from", (now - timedelta(hours=1)).isoformat(), "--to", (now + timedelta(hours=1)).isoformat())
    for producer in scene.producers * 2:
        done = await asyncio.to_thread(scene.stack.command, "replay", "--scenario", str(producer.scenario_id), *window)
        assert done.returncode == 0, done.stderr[-500:]


REQUEST_FAULTS = [
    Fault(
        name="duplicate storm",
        number="F43",
        what=f"requests of 1, 20 and 200 lines, each by {STORM} clients under one key; again when all caches are empty",
        inject=duplicate_storm,
        short=True,
    ),
    Fault(name="clients leave", number="F07", what="a hundred, before the answer", inject=clients_leave),
    Fault(
        name="slow clients",
        number="F41",
        what=f"{SLOW_CLIENTS} bodies at 20 bytes a second",
        inject=slow_clients,
        recovery_seconds=90,
    ),
    Fault(
        name="bombs",
        number="F42",
        what="bodies that inflate to 200 MB, are cut off, nested or of another encoding",
        inject=bombs,
    ),
    Fault(
        name="clock an hour back",
        number="F39",
        what="the gateway's, for 6 s",
        inject=clock_jumps(-3600, 6),
    ),
    Fault(name="clock a day ahead", number="F39", what="the gateway's, for 6 s", inject=clock_jumps(86_400, 6)),
    Fault(
        name="clock beyond all partitions",
        number="F25",
        what=f"{LETTERS} requests 400 days ahead: no partition takes them, they go to the dead letters",
        inject=clock_beyond_partitions,
    ),
    Fault(
        name="replay under load",
        number="F30",
        what="what is being sent is replayed twice",
        inject=replayed_twice,
        mixed=False,
    ),
]
