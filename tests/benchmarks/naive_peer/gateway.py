"""FastAPI takes the same bodies as our gateway and awaits one Kafka record per line."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request
from pydantic import BaseModel


class LogEntry(BaseModel):
    message: str
    source: str
    level: str
    attributes: dict[str, Any]


class Batch(BaseModel):
    scenario_id: UUID
    logs: list[LogEntry]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.producer = AIOKafkaProducer(bootstrap_servers=os.environ["NAIVE_KAFKA"], acks="all")
    await app.state.producer.start()
    try:
        yield
    finally:
        await app.state.producer.stop()


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/api/v1/ingest", status_code=202)
async def ingest(batch: Batch, request: Request) -> dict[str, int]:
    producer: AIOKafkaProducer = request.app.state.producer
    key = batch.scenario_id.bytes
    for entry in batch.logs:
        await producer.send_and_wait(os.environ["NAIVE_TOPIC"], entry.model_dump_json().encode(), key=key)
    return {"accepted": len(batch.logs)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["NAIVE_PORT"]), access_log=False, log_level="warning")
