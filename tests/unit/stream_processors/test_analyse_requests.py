"""The agent's step: acknowledges in order and late, bounds what is in flight, and ends the process rather than lose."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request, join_bundle
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.analyse_requests import CRASHED, TOGETHER_BYTES, AnalyseRequests

_ANALYSER = Analyser()


@dataclass
class Message:
    """The part of a Faust message that the step reads."""

    offset: int
    partition: int = 0
    topic: str = "ingest.requests"
    timestamp: float = 0.0
    value: bytes = join_bundle([encode_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("x")]))])
    headers: tuple[tuple[str, bytes], ...] = (("schema_version", b"1"),)


class Step:
    """An AnalyseRequests whose acknowledgements by the brokers come when the test says."""

    def __init__(self, **settings: Any) -> None:
        self.sent: list[tuple[str, int, dict[str, bytes]]] = []
        self.futures: list[asyncio.Future[None]] = []
        self.acknowledged: list[int] = []
        self.alone: list[tuple[str, int]] = []
        self.largest = 1000
        """Bytes of a record that the brokers take."""
        self.step = AnalyseRequests(
            Settings(**settings),
            _ANALYSER,
            SystemClock(),
            self._send,
            self._send_alone,
            lambda m: self.acknowledged.append(m.offset),
        )

    async def _send(
        self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]
    ) -> asyncio.Future[None]:
        self.sent.append((topic, partition, dict(headers)))
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    async def _send_alone(self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> None:
        self.alone.append((topic, len(value)))
        if len(value) > self.largest:
            raise MessageSizeTooLargeError

    async def answer(self, *messages: Message) -> None:
        """Returns when all of them are answered."""
        running = asyncio.create_task(self.step.run())
        for message in messages:
            await self.step.take(message)
        async with asyncio.timeout(60):
            while self.step._arrived.is_set() or self.step._taken:
                await asyncio.sleep(0.001)
        running.cancel()


async def _settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_records_are_acknowledged_in_source_order_after_the_brokers_have_their_answers() -> None:
    made = Step()
    await made.answer(*(Message(offset) for offset in (7, 8, 9)))
    made.futures[1].set_result(None)
    made.futures[2].set_result(None)
    await _settle()
    assert made.acknowledged == []
    assert made.step.longest_wait_seconds() > 0
    made.futures[0].set_result(None)
    await _settle()
    assert made.acknowledged == [7, 8, 9]
    assert made.step.longest_wait_seconds() == 0


async def test_answers_go_to_the_partition_of_the_source_and_name_it() -> None:
    made = Step(kafka_topic_prefix="p.")
    await made.answer(Message(7, partition=3), Message(8, partition=3, value=b"?"))
    assert made.sent == [
        ("p.logs.analysed", 3, {"schema_version": b"1", "source": b"3:7"}),
        ("p.ingest.dead_letters", 3, {"schema_version": b"1", "source": b"3:8"}),
    ]


async def test_records_that_came_together_are_analysed_together_up_to_a_bound_of_their_bytes() -> None:
    made = Step(processor_max_in_flight=20)
    sizes: list[int] = []
    analyse = _ANALYSER.analyse_requests

    class Counting(Analyser):
        def analyse_requests(self, requests: Any) -> Any:
            sizes.append(len(requests))
            return analyse(requests)

    made.step._analyser = Counting()
    await made.answer(*(Message(offset) for offset in range(5)))
    assert sizes == [5]
    sizes.clear()
    half = [Entry("x" * (TOGETHER_BYTES // 2 - 200))]
    value = join_bundle([encode_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", half))])
    await made.answer(*(Message(offset, value=value) for offset in range(5, 10)))
    assert sizes == [2, 2, 1]
    assert [headers["source"] for _, _, headers in made.sent] == [b"0:%d" % offset for offset in range(10)]


async def test_no_more_records_are_taken_than_may_be_in_flight() -> None:
    made = Step(processor_max_in_flight=2)
    await made.answer(Message(0), Message(1))
    third = asyncio.create_task(made.answer(Message(2)))
    await _settle()
    assert len(made.sent) == 2
    made.futures[0].set_result(None)
    await third
    assert len(made.sent) == 3


@pytest.mark.parametrize("failure", ["future.set_exception(OSError('secret'))", "future.cancel()", "'send raises'"])
def test_the_process_ends_before_the_acknowledgement_where_an_answer_is_not_durable(failure: str) -> None:
    program = f"""
import asyncio
from tests.unit.stream_processors.test_analyse_requests import Message, Step
async def main():
    made = Step()
    if "raises" in {failure!r}:
        made.step._send = None
    await made.answer(Message(0))
    future = made.futures[0]
    {failure}
    await asyncio.sleep(1)
    print("still running", made.acknowledged)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == CRASHED
    assert "still running" not in ended.stdout
    assert "secret" not in ended.stdout + ended.stderr


def _message_of(*counts: int) -> Message:
    requests = [
        IngestRequest(bytes([65 + number]) * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("x")] * count)
        for number, count in enumerate(counts)
    ]
    return Message(7, value=join_bundle([encode_request(request) for request in requests]))


async def test_an_answer_refused_with_its_batch_is_sent_alone_then_by_request_then_as_a_letter() -> None:
    made = Step()
    made.largest = 2_000
    await made.answer(_message_of(1, 100))
    made.futures[0].set_exception(MessageSizeTooLargeError())
    await _settle()
    await asyncio.gather(*made.step._smaller)
    assert [topic for topic, _ in made.alone] == ["logs.analysed"] * 3 + ["ingest.dead_letters"]
    assert [size <= made.largest for _, size in made.alone] == [False, True, False, True]
    assert made.acknowledged == [7]
    assert made.step.held is None


async def test_an_answer_that_is_not_too_large_alone_is_not_split() -> None:
    made = Step()
    made.largest = 1_000_000
    await made.answer(_message_of(1, 100))
    made.futures[0].set_exception(MessageSizeTooLargeError())
    await _settle()
    await asyncio.gather(*made.step._smaller)
    assert [topic for topic, _ in made.alone] == ["logs.analysed"]
    assert made.acknowledged == [7]


async def test_it_holds_where_not_even_the_letter_is_taken() -> None:
    made = Step()
    made.largest = 10
    await made.answer(_message_of(1))
    made.futures[0].set_exception(MessageSizeTooLargeError())
    await _settle()
    assert made.step.held is not None
    assert "ingest.dead_letters takes no record of" in made.step.held
    assert made.acknowledged == []
