"""What a policy would change, on sample lines of the caller's: nothing is stored."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.policies import checked, keys_of
from mockupaws.api.routing import Call, answer
from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.document import PolicyDocument, with_digests
from mockupaws.stream_processors.policies.find_policy import find_policy
from mockupaws.stream_processors.policies.preview import Preview, preview

MAX_LINES = 1000
MAX_BODY_BYTES = 1024 * 1024


class SampleLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    message: str
    source: str = ""
    level: str = ""
    attributes: dict[str, Any] | None = None


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    policy: PolicyDocument
    """The candidate."""
    lines: Annotated[list[str | SampleLine], Meta(min_length=1, max_length=MAX_LINES)]
    """Messages, or messages with source, level and attributes."""


class PreviewAnswer(msgspec.Struct, frozen=True):
    version: int
    """Of the policy in force, which `before` was made by."""
    preview: Preview


async def preview_policy(call: Call) -> Response:
    body: PreviewRequest = call.body
    checked(body.policy)
    async with call.services.databases.write(call.tenant_id) as connection:
        before = await find_policy(connection, call.tenant_id, call.services.settings.tenant_key_secret)
        keys = await keys_of(call, connection, make=True) if body.policy.needs_key else []
    candidate = with_digests(body.policy, keys[0]) if keys else body.policy
    after = CompiledPolicy(candidate, before.version + 1, keys[0] if keys else None, keys[1:])
    entries = [_entry_of(line) for line in body.lines]
    try:
        made = await asyncio.get_running_loop().run_in_executor(_thread(), _preview, entries, before, after)
    except UnicodeEncodeError:
        raise RefusedError("invalid_body", "`$.lines`: attributes hold half of a surrogate pair") from None
    return answer(PreviewAnswer(before.version, made))


def _entry_of(line: str | SampleLine) -> Entry:
    if isinstance(line, str):
        return Entry(line)
    return Entry(line.message, None, line.source, line.level, line.attributes)


def _preview(entries: list[Entry], before: CompiledPolicy, after: CompiledPolicy) -> Preview:
    return preview(_analyser(), entries, before, after)


@cache
def _analyser() -> Analyser:
    # Made at the first preview: a process that never sees one saves its memory.
    return Analyser()


@cache
def _thread() -> ThreadPoolExecutor:
    # One thread: the analyser isn't to be shared, and other requests must not wait for it.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="policy-preview")
