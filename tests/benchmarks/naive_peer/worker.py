"""Reads a record per line, replaces what fifteen expressions find, counts tokens, inserts a hundred rows at a time."""

from __future__ import annotations

import asyncio
import json
import os

import asyncpg
from aiokafka import AIOKafkaConsumer

from tests.benchmarks.plain_expressions import PLAIN_EXPRESSIONS
from tests.benchmarks.tiktoken_encoding import load_cl100k

INSERT = (
    "INSERT INTO naive_logs (scenario_id, source, level, message, attributes, tokens) VALUES ($1, $2, $3, $4, $5, $6)"
)
ROWS = 100

_Row = tuple[str, str, str, str, str, int]


async def work() -> None:
    encoding = load_cl100k()

    def row_of(scenario_id: bytes, value: bytes) -> _Row:
        entry = json.loads(value)
        message = entry["message"]
        for expression in PLAIN_EXPRESSIONS:
            message = expression.sub("[REDACTED]", message)
        tokens = len(encoding.encode_ordinary(message))
        return scenario_id.hex(), entry["source"], entry["level"], message, json.dumps(entry["attributes"]), tokens

    topic = os.environ["NAIVE_TOPIC"]
    pool = await asyncpg.create_pool(os.environ["NAIVE_POSTGRES"], min_size=1, max_size=4)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=os.environ["NAIVE_KAFKA"],
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while True:
        records = await consumer.getmany(timeout_ms=500, max_records=ROWS)
        rows = [row_of(record.key, record.value) for part in records.values() for record in part]
        if rows:
            async with pool.acquire() as connection, connection.transaction():
                await connection.executemany(INSERT, rows)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(work())
