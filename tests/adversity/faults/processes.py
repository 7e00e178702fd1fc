"""Our own processes end, freeze or fail: at each commit edge, and at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from functools import partial
from typing import get_args

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from mockupaws.runtime.failpoints import Action, Failpoint
from mockupaws.runtime.kafka import topic_name
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS
from tests.adversity.faults.fault import Fault, Inject, Scene
from tests.adversity.faults.half_sent import hold_one_byte
from tests.adversity.faulty_flow import Faults

SESSION_SECONDS = 10.0
"""After which Kafka gives a silent member's partitions to another."""
ZOMBIE_SECONDS = 4.0
REBALANCE_SECONDS = 20.0
FROZEN_EDGES: tuple[Failpoint, ...] = (
    "processor.after_send",
    "postgres_sink.before_commit",
    "parquet_sink.after_put",
)
SHORT_EDGES = {"gateway.before_produce", "gateway.after_spooled", "processor.after_send", "postgres_sink.before_commit"}


def process_of(point: Failpoint) -> str:
    return point.partition(".")[0].replace("_", "-")


def at_edge(point: Failpoint, action: Action) -> Inject:
    async def inject(scene: Scene) -> None:
        stack = scene.stack
        pid = stack.pid_of(process_of(point))
        stack.arm(point, action)
        await scene.until(lambda: not stack.is_armed(point), f"{point} is reached")
        if action == "kill":
            await scene.until(lambda: stack.pid_of(process_of(point)) not in (None, pid), "another process runs")
        elif action == "stop":
            await asyncio.sleep(ZOMBIE_SECONDS)
            stack.signal(process_of(point), signal.SIGCONT)
        await scene.flow()

    return inject


def at_spool_edge(point: Failpoint) -> Inject:
    """The gateway's way to Kafka is cut, so that it spools; for the last edge it is open again, so that it drains."""

    async def inject(scene: Scene) -> None:
        stack, proxy = scene.stack, scene.stack.kafka["gateway"]
        pid = stack.pid_of("gateway")
        proxy.use(to_server=Faults(blackhole=True), to_client=Faults(blackhole=True))
        if point == "gateway.before_spool_deleted":
            await scene.flow()
            stack.arm(point, "kill")
            proxy.heal()
        else:
            stack.arm(point, "kill")
        await scene.until(lambda: not stack.is_armed(point), f"{point} is reached")
        await scene.until(lambda: stack.pid_of("gateway") not in (None, pid), "another gateway runs")

    return inject


def killed(*names: str, times: int = 3) -> Inject:
    async def inject(scene: Scene) -> None:
        for _ in range(times):
            await asyncio.sleep(scene.chance.uniform(0.5, 2.0))
            pids = {name: scene.stack.pid_of(name) for name in names}
            for name in names:
                scene.stack.signal(name, signal.SIGKILL)
            await scene.until(partial(_are_replaced, scene, pids), "others run in their places")

    return inject


def _are_replaced(scene: Scene, pids: dict[str, int | None]) -> bool:
    return all(scene.stack.pid_of(name) not in (None, pid) for name, pid in pids.items())


def frozen(name: str, seconds: float) -> Inject:
    async def inject(scene: Scene) -> None:
        with scene.stack.stopped(name):
            await asyncio.sleep(seconds)

    return inject


async def terminated_with_half_a_body(scene: Scene) -> None:
    """SIGTERM while requests are one byte short: each is answered or refused, none is cut after it was accepted."""
    pid = scene.stack.pid_of("gateway")
    port = scene.stack.settings.gateway_port
    finish = asyncio.Event()
    held = [asyncio.create_task(scene.load.send_raw(20, hold_one_byte(port, finish))) for _ in range(5)]
    await asyncio.sleep(0.5)
    scene.stack.signal("gateway", signal.SIGTERM)
    await asyncio.sleep(0.5)
    finish.set()
    await asyncio.gather(*held)
    await scene.until(lambda: scene.stack.pid_of("gateway") not in (None, pid), "another gateway runs")


def zombie(name: str, point: Failpoint) -> Inject:
    """Frozen with a batch in its hands until another has its partitions, then continued: it must write nothing."""

    async def inject(scene: Scene) -> None:
        stack = scene.stack
        stack.arm(point, "stop")
        await scene.until(lambda: not stack.is_armed(point), f"{point} is reached")
        with stack.second_process(name, {"SINK_INSTANCE": "2"}):
            await asyncio.sleep(SESSION_SECONDS + ZOMBIE_SECONDS)
            stack.signal(name, signal.SIGCONT)
            await asyncio.sleep(ZOMBIE_SECONDS)

    return inject


def rolling_rebalances(sink: str, joins: int) -> Inject:
    """A stranger joins the sink's group and leaves it, again and again: two rebalances each."""

    async def inject(scene: Scene) -> None:
        settings = scene.stack.settings
        topics = [ANALYSED, DEAD_LETTERS] if sink == "postgres" else [ANALYSED]
        for _ in range(joins):
            stranger = AIOKafkaConsumer(
                *(topic_name(settings, topic) for topic in topics),
                bootstrap_servers=settings.kafka_bootstrap_servers,
                group_id=f"{settings.kafka_topic_prefix}{sink}-sink",
                enable_auto_commit=False,
                auto_offset_reset="latest",
            )
            try:
                with contextlib.suppress(KafkaError, TimeoutError):
                    async with asyncio.timeout(REBALANCE_SECONDS):
                        await stranger.start()
                        while not stranger.assignment():
                            await asyncio.sleep(0.1)
                await asyncio.sleep(scene.chance.uniform(0.05, 0.4))
            finally:
                await stranger.stop()

    return inject


def _edges() -> list[Fault]:
    faults = []
    for point in get_args(Failpoint):
        if process_of(point) not in ("gateway", "processor", "postgres-sink", "parquet-sink"):
            continue
        number = {"gateway": "F36", "parquet-sink": "F38"}.get(process_of(point), "F12")
        faults.append(
            Fault(
                name=f"kill at {point}",
                number=number,
                what="SIGKILL at this commit edge",
                inject=at_spool_edge(point) if "spool" in point else at_edge(point, "kill"),
                short=point in SHORT_EDGES,
            )
        )
    faults += [
        Fault(
            name=f"freeze at {point}",
            number="F12",
            what=f"SIGSTOP for {ZOMBIE_SECONDS:.0f} s at this commit edge",
            inject=at_edge(point, "stop"),
        )
        for point in FROZEN_EDGES
    ]
    return faults


PROCESS_FAULTS = [
    *_edges(),
    Fault(name="gateway killed", number="F01", what="SIGKILL, three times", inject=killed("gateway")),
    Fault(name="processor killed", number="F12", what="SIGKILL, three times", inject=killed("processor")),
    Fault(
        name="sinks killed",
        number="F12",
        what="SIGKILL of both sinks at once, three times",
        inject=killed("postgres-sink", "parquet-sink"),
    ),
    Fault(
        name="all of ours killed",
        number="F12",
        what="SIGKILL of gateway, processor and sinks at once",
        inject=killed("gateway", "processor", "postgres-sink", "parquet-sink", times=2),
        short=True,
    ),
    Fault(
        name="gateway stopped with half a body",
        number="F02",
        what="SIGTERM while five requests are one byte short",
        inject=terminated_with_half_a_body,
    ),
    Fault(
        name="processor frozen",
        number="F13",
        what="SIGSTOP for longer than the group's session",
        inject=frozen("processor", SESSION_SECONDS + ZOMBIE_SECONDS),
    ),
    Fault(
        name="zombie postgres-sink",
        number="F13",
        what="frozen before its transaction until another sink has its partitions, then continued",
        inject=zombie("postgres-sink", "postgres_sink.before_transaction"),
        mixed=False,
    ),
    Fault(
        name="zombie parquet-sink",
        number="F13",
        what="frozen after its objects are put until another sink has its partitions, then continued",
        inject=zombie("parquet-sink", "parquet_sink.after_put"),
        mixed=False,
    ),
    Fault(
        name="50 rebalances",
        number="F14",
        what="a stranger joins and leaves the Postgres sink's group 25 times",
        inject=rolling_rebalances("postgres", 25),
        mixed=False,
    ),
    Fault(
        name="rebalances of the archive",
        number="F14",
        what="a stranger joins and leaves the Parquet sink's group 5 times",
        inject=rolling_rebalances("parquet", 5),
    ),
]
