"""What a request would store and cost: the processor's own analysis, and the bill of the default architecture."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from uuid import UUID

import msgspec

from mockupaws.cost_model.architecture import Architecture
from mockupaws.cost_model.bill import bill, bill_document
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.quantities import quantities_of_deltas
from mockupaws.ingest_gateway.answers import encode_json
from mockupaws.ingest_gateway.errors import RefusedError, Rejection
from mockupaws.ingest_gateway.http_exchange import Answer
from mockupaws.runtime.postgres import Pool, is_retriable, tenant_transaction
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import id_text
from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.schemas.requests import IngestRequest
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.find_policy import find_policy

MAX_ENTRIES = 1000
"""A dry run is for looking; more entries than these are for `mockupaws analyse`."""


async def answer_dry_run(request: IngestRequest, rejected: list[Rejection], pool: Pool, settings: Settings) -> Answer:
    """Raises RefusedError (413, 503)."""
    if len(request.entries) > MAX_ENTRIES:
        raise RefusedError("too_many_entries", f"a dry run takes at most {MAX_ENTRIES} entries")
    policy = await read_policy(pool, UUID(bytes=request.tenant_id), settings)
    document: dict[str, Any] = await asyncio.get_running_loop().run_in_executor(
        _thread(), dry_run, request, policy, prices_in_force(settings)
    )
    body = {"request_id": id_text(request.request_id), "dry_run": True, **document, "rejected": rejected}
    return Answer(200, encode_json(body))


@cache
def _thread() -> ThreadPoolExecutor:
    # One thread: the analyser isn't to be shared, and ingest must not wait while it loads its patterns.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="dry-run")


@cache
def _analyser() -> Analyser:
    # Made at the first dry run: a process that never sees one saves its memory.
    return Analyser()


async def read_policy(pool: Pool, tenant_id: UUID, settings: Settings) -> CompiledPolicy:
    """The tenant's policy. Raises RefusedError (503) while the database is down: a guess would show the wrong text."""
    timeout = settings.postgres_timeout_seconds
    try:
        async with tenant_transaction(pool, tenant_id, readonly=True, timeout_seconds=timeout) as connection:
            return await find_policy(connection, tenant_id, settings.tenant_key_secret)
    except Exception as error:
        if not is_retriable(error):
            raise
        raise RefusedError(
            "directory_unavailable", "the redaction policy can't be read now; send again later"
        ) from error


def dry_run(request: IngestRequest, policy: CompiledPolicy, prices: PriceBook) -> dict[str, Any]:
    """The redacted entries with their findings and measures, and the bill of exactly these entries."""
    analyser = _analyser()
    deltas = analyser.analyse_request(request, policy).deltas
    costs = bill(quantities_of_deltas(deltas), Architecture(), prices)
    entries = []
    for index, entry in enumerate(analyser.analyse_entries(request.entries, policy, encoding=request.token_encoding)):
        entries.append(
            {
                "index": index,
                "message": entry.message,
                "source": entry.source,
                "level": entry.level,
                "attributes": None if entry.attributes is None else msgspec.json.decode(entry.attributes),
                "pii_types": types_of_mask(entry.pii_mask),
                "findings": entry.findings,
                "size_bytes": entry.size_bytes,
                "token_count": entry.token_count,
                "sqs_blocks": entry.sqs_blocks,
            }
        )
    return {"policy_version": policy.version, "entries": entries, "cost": bill_document(costs)}
