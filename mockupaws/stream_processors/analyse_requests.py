"""The Faust agent: each record of `ingest.requests` answered, and acknowledged when its answers are durable.

Order of one record:
1. read; it waits here where `processor_max_in_flight` records are unacknowledged, then for what was fetched with it
2. answered together with those (answer_record, pure); it waits here for an operator where that would reach the
   dead-letter limit
3. each answer sent to the partition of the source's number
   (one that the brokers refuse as too large is sent alone, then request by request, then as a dead letter)
4. all its answers on the brokers' disks (the producer's futures)
5. acknowledged to Faust, after each record of its partition before it (ack_order); Faust commits it later

A crash at any point repeats records from the last commit, and loses none; sinks drop what they have applied
(idempotency key: request id). Anything unexpected ends the process before 5: Faust would acknowledge a record whose
agent raised.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic, perf_counter
from traceback import format_tb
from typing import Any, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError

from mockupaws.runtime import telemetry
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.dead_letter_limit import DeadLetterLimit, DeadLetterLimitError
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import SCHEMA_VERSION as ANALYSED_VERSION
from mockupaws.schemas.analysed import SOURCE_HEADER
from mockupaws.schemas.dead_letters import SCHEMA_VERSION as DEAD_LETTER_VERSION
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS
from mockupaws.stream_processors.ack_order import AckOrder, PendingRecord
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.answer_record import Answer, Answered, SourceRecord, answer_records, smaller_answers
from mockupaws.stream_processors.policies.apply_policy import PolicyOf, always_default

SCHEMA_VERSION_HEADER = "schema_version"
CRASHED = 70
"""Exit status (EX_SOFTWARE) of a process that stops rather than lose a record."""

GATHER_SECONDS = 0.005
"""How long records wait for those that were fetched with them, which Faust hands over one by one."""
TOGETHER_BYTES = 1024 * 1024
"""Of records answered together, as read: some thousand lines, which keep the event loop for some tens of ms."""

_VERSIONS = {ANALYSED.name: str(ANALYSED_VERSION).encode(), DEAD_LETTERS.name: str(DEAD_LETTER_VERSION).encode()}

_log = telemetry.get_logger(__name__)

SendAlone = Callable[[str, bytes, int, list[tuple[str, bytes]]], Awaitable[None]]
"""As `Send`, in a batch of its own; returns once acknowledged. Raises MessageSizeTooLargeError."""
Send = Callable[[str, bytes, int, list[tuple[str, bytes]]], Awaitable["asyncio.Future[Any]"]]
"""(topic, value, partition, headers) → the future of the brokers' acknowledgement."""


def crash(event: str, error: BaseException | None = None) -> None:
    """Ends the process at once: nothing after it runs, no offset is committed."""
    stack = format_tb(error.__traceback__) if error else []  # without the error's text, which might quote a payload
    _log.critical(event, error=type(error).__name__, stack="".join(stack))
    logging.shutdown()
    os._exit(CRASHED)


class _Read(NamedTuple):
    message: Any
    source: SourceRecord
    at: float
    """Monotonic seconds."""


class AnalyseRequests:
    """Answers the records handed to `take`, in order, in `run`."""

    def __init__(
        self,
        settings: Settings,
        analyser: Analyser,
        clock: Clock,
        send: Send,
        send_alone: SendAlone,
        acknowledge: Callable[[Any], object],
        policy_of: PolicyOf = always_default,
    ) -> None:
        self._analyser = analyser
        self._policy_of = policy_of
        self._clock = clock
        self._send = send
        self._send_alone = send_alone
        self._smaller: set[asyncio.Task[None]] = set()
        self._acknowledge = acknowledge
        self._in_flight = asyncio.Semaphore(settings.processor_max_in_flight)
        self._topics = {topic.name: topic_name(settings, topic) for topic in (ANALYSED, DEAD_LETTERS)}
        self._order: AckOrder[_Read] = AckOrder()
        self._limit = DeadLetterLimit.of(settings)
        self.held: str | None = None
        """Why nothing more is answered until the process is started again; None while it works."""
        self.acknowledged: dict[int, int] = {}
        """Partition → the offset after the last that was acknowledged."""
        self.records_read = 0
        self._taken: deque[Any] = deque()
        self._arrived = asyncio.Event()

    async def take(self, message: Any) -> None:
        """Returns once the record may wait to be answered. Where the worker stops, the next one reads it again."""
        self.records_read += 1
        await self._in_flight.acquire()
        self._taken.append(message)
        self._arrived.set()

    async def run(self) -> None:
        """Answers until cancelled, when the worker stops; raises nothing else."""
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(GATHER_SECONDS)
                await self._answer(self._next_together())
                if not self._taken:
                    self._arrived.clear()
        except Exception as error:
            crash("answer_failed", error)

    def _next_together(self) -> list[Any]:
        """The oldest records that were taken: one, or as many as may be answered together."""
        together = [self._taken.popleft()]
        size = len(together[0].value or b"")
        while self._taken and size + len(self._taken[0].value or b"") <= TOGETHER_BYTES:
            together.append(self._taken.popleft())
            size += len(together[-1].value or b"")
        return together

    def oldest_timestamps(self) -> list[float]:
        """Kafka's timestamps (epoch s) of the oldest unacknowledged record of each partition."""
        return [read.message.timestamp for read in self._order.oldest()]

    def longest_wait_seconds(self) -> float:
        """How long ago the record that waits longest for its acknowledgement was read; 0 where none waits."""
        now = monotonic()
        return max((now - read.at for read in self._order.oldest()), default=0.0)

    async def _answer(self, messages: list[Any]) -> None:
        started = perf_counter()
        records = [_source_of(message) for message in messages]
        answered = answer_records(self._analyser, records, self._clock.now_us(), self._policy_of)
        telemetry.ANALYSE_SECONDS.observe(perf_counter() - started)
        for message, record, of_record in zip(messages, records, answered, strict=True):
            await self._send_answers(message, record, of_record)

    async def _send_answers(self, message: Any, record: SourceRecord, answered: Answered) -> None:
        answers, outcomes = answered
        try:
            self._limit.check(outcomes)
        except DeadLetterLimitError as reached:
            await self._hold(record, str(reached))
        self._limit.count(outcomes)
        hit("processor.before_send")
        pending = self._order.open(record.partition, _Read(message, record, monotonic()), len(answers))
        telemetry.PROCESSOR_IN_FLIGHT.inc()
        for answer in answers:
            future = await self._send(*self._record_of(record, answer))
            asyncio.ensure_future(future).add_done_callback(partial(self._on_durable, pending, answer))
        hit("processor.after_send")

    def _record_of(self, source: SourceRecord, answer: Answer) -> tuple[str, bytes, int, list[tuple[str, bytes]]]:
        headers = [
            (SCHEMA_VERSION_HEADER, _VERSIONS[answer.topic.name]),
            (SOURCE_HEADER, f"{source.partition}:{source.offset}".encode()),
        ]
        return self._topics[answer.topic.name], answer.value, source.partition, headers

    async def _send_smaller(self, pending: PendingRecord[_Read], refused: Answer) -> None:
        """A batch was refused as too large: its answer alone, then in smaller parts, until the brokers take them."""
        try:
            answers = [refused]
            while answers:
                answer = answers.pop()
                try:
                    await self._send_alone(*self._record_of(pending.record.source, answer))
                except MessageSizeTooLargeError:
                    smaller = await self._split(pending.record.source, answer)
                    pending.waiting += len(smaller) - 1
                    answers += reversed(smaller)
                else:
                    self._note_durable(pending, answer)
        except Exception as error:
            crash("answer_not_acknowledged", error)

    async def _split(self, source: SourceRecord, answer: Answer) -> list[Answer]:
        """Waits for an operator where that would reach the dead-letter limit, or not even the letter is taken."""
        if answer.reason is not None:
            topic = self._topics[answer.topic.name]
            await self._hold(
                source, f"{topic} takes no record of {len(answer.value)} bytes: raise its max.message.bytes"
            )
        smaller = smaller_answers(source, answer, self._clock.now_us())
        reasons = [part.reason for part in smaller if part.reason is not None]
        try:
            self._limit.check(reasons)
        except DeadLetterLimitError as reached:
            await self._hold(source, str(reached))
        self._limit.count(reasons)
        _log.warning("answer_too_large", partition=source.partition, offset=source.offset, letters=len(reasons))
        return smaller

    async def _hold(self, record: SourceRecord, why: str) -> None:
        """Never returns, and ends with the process: one that exits would write as many letters again at each start."""
        self.held = why
        telemetry.DEAD_LETTER_HOLD.labels("processor").set(1)
        _log.error("held_at_dead_letter_limit", why=why, partition=record.partition, offset=record.offset)
        await asyncio.Event().wait()

    def _on_durable(self, pending: PendingRecord[_Read], answer: Answer, sent: asyncio.Future[Any]) -> None:
        if not sent.cancelled() and isinstance(sent.exception(), MessageSizeTooLargeError):
            task = asyncio.ensure_future(self._send_smaller(pending, answer))
            self._smaller.add(task)
            task.add_done_callback(self._smaller.discard)
            return
        if sent.cancelled() or sent.exception() is not None:
            crash("answer_not_acknowledged", None if sent.cancelled() else sent.exception())
        self._note_durable(pending, answer)

    def _note_durable(self, pending: PendingRecord[_Read], answer: Answer) -> None:
        if answer.reason is None:
            telemetry.ANALYSED_RECORDS.inc()
            telemetry.ANALYSED_ENTRIES.inc(answer.entries)
        else:
            telemetry.DEAD_LETTERS.labels(answer.reason).inc()
        for read in self._order.answered(pending):
            self._acknowledge(read.message)
            self.acknowledged[read.message.partition] = read.message.offset + 1
            hit("processor.after_acknowledged")
            telemetry.PROCESSOR_IN_FLIGHT.dec()
            self._in_flight.release()


def _source_of(message: Any) -> SourceRecord:
    return SourceRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        value=message.value or b"",
        schema_version=dict(message.headers or ()).get(SCHEMA_VERSION_HEADER),
    )
