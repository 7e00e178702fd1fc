"""The ingest endpoint, step by step; the steps themselves are beside it.

Order: who (401, 403) → which format (415) → within its limits (429) → soon to be read (429) → the body (413, 408) →
inflate (413, 400) → decode (400, 413) → whose scenario (404) → accepted before? (202 `duplicate`, 422) → Kafka, or the
spool (503) → 202.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

from prometheus_client import Counter

from mockupaws.ingest_gateway.accepted_requests import AcceptedRequests
from mockupaws.ingest_gateway.admit import BodyIntake, ByteShare
from mockupaws.ingest_gateway.admit_by_lag import LagAdmission, LagShare
from mockupaws.ingest_gateway.answers import accept, refuse
from mockupaws.ingest_gateway.authenticate import Authenticator, Principal
from mockupaws.ingest_gateway.directory import ScenarioRecord
from mockupaws.ingest_gateway.errors import ERRORS, RefusedError, Rejection
from mockupaws.ingest_gateway.http_exchange import Answer, ClientGoneError, HttpRequest
from mockupaws.ingest_gateway.inflate_body import content_encodings, inflate_body
from mockupaws.ingest_gateway.keyed_requests import KeyedRequests, id_of_key
from mockupaws.ingest_gateway.limit_requests import Admission, RequestLimits
from mockupaws.ingest_gateway.make_durable import make_durable
from mockupaws.ingest_gateway.protocols.decoded import Decoded, EntryLimits
from mockupaws.ingest_gateway.protocols.native_json import decode_json
from mockupaws.ingest_gateway.protocols.ndjson import decode_ndjson, scenario_of
from mockupaws.ingest_gateway.publish import Publisher
from mockupaws.ingest_gateway.refresh_directory import RefreshedDirectory
from mockupaws.ingest_gateway.spool import Spool
from mockupaws.ingest_gateway.spool_file import NewRequest
from mockupaws.ingest_gateway.timestamps import TimestampRange
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import place_of
from mockupaws.runtime.http_edge import Receive, Scope, Send
from mockupaws.runtime.mint_ids import IdMint
from mockupaws.runtime.postgres import Pool
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import (
    INGEST_ACK_SECONDS,
    INGEST_BODY_BYTES,
    INGEST_ENTRIES,
    INGEST_REQUESTS,
    get_logger,
)
from mockupaws.schemas.identifiers import body_hash, id_text
from mockupaws.schemas.requests import IngestRequest, encode_request

BODY_SECONDS_WHILE_DRAINING = 3.0
"""How long a stopping process waits for the rest of a body."""
JSON_TYPES = ("application/json", "text/json")
NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")

_accepted_entries = INGEST_ENTRIES.labels("accepted")
_rejected_entries = INGEST_ENTRIES.labels("rejected")
_log = get_logger(__name__)


@dataclass(slots=True)
class Gateway:
    """What the endpoint works with, for the life of the process."""

    settings: Settings
    clock: Clock
    directory: RefreshedDirectory
    authenticator: Authenticator
    publisher: Publisher
    spool: Spool
    accepted_requests: AcceptedRequests
    keyed_requests: KeyedRequests
    bodies: BodyIntake
    limits: RequestLimits
    lag: LagAdmission
    pool: Pool
    """For what no copy is kept of: a dry run's policy."""
    ids: IdMint = field(default_factory=IdMint)
    draining: bool = False
    in_flight: int = 0
    """Requests being answered."""

    def drain(self) -> None:
        """The process is told to stop: nothing new is taken, and bodies that still arrive get little time."""
        self.draining = True
        self.bodies.stop_within(BODY_SECONDS_WHILE_DRAINING)


class IngestEndpoint:
    """`POST /api/v1/ingest`, as an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway: Gateway = scope["app"].state.gateway
        request = HttpRequest(scope, receive)
        began = time.monotonic()
        limit_headers: dict[str, str] = {}
        gateway.in_flight += 1
        try:
            answer = await _ingest(gateway, request, limit_headers)
            if answer.status == 202:
                INGEST_ACK_SECONDS.observe(time.monotonic() - began)
        except RefusedError as error:
            answer = refuse(error.kind, error.message, request.request_id, error.rejected, error.retry_after)
            answer.headers.update(error.headers)
        except ClientGoneError:
            message = "the body is cut short, or its chunks are malformed"
            answer = refuse(ERRORS["malformed_body"], message, request.request_id)
        except Exception as error:
            # The class alone: a message or traceback may quote the payload.
            _log.error("ingest_failed", error=type(error).__name__, where=place_of(error))
            message = "an error of ours; send again, or report the request id"
            answer = refuse(ERRORS["internal"], message, request.request_id)
        finally:
            gateway.in_flight -= 1
        answer.headers.update(limit_headers)
        _answered(answer.status).inc()
        await answer.send(send)


@cache
def _answered(status: int) -> Counter:
    return INGEST_REQUESTS.labels(str(status))


async def _ingest(gateway: Gateway, request: HttpRequest, limit_headers: dict[str, str]) -> Answer:
    if gateway.draining:
        raise RefusedError("draining", "this process is stopping; send again")
    now_us = gateway.clock.now_us()
    principal = await gateway.authenticator.authenticate(request.headers, now_us)
    decode = _decoder_of(request)
    keyed_id = id_of_key(request.headers, principal)
    # What is larger is refused, whatever it says.
    announced = None if request.announced is None else min(request.announced, gateway.settings.max_body_bytes)
    admission = await _admit(gateway, request, principal, announced)
    limit_headers.update(admission.verdict.headers)
    dry = request.query.get("dry_run", "0") not in ("0", "false", "")
    with (
        admission,
        await _admit_by_lag(gateway, request, principal, keyed_id, announced, dry) as lag_share,
        gateway.bodies.share() as share,
    ):
        body = await _read_body(gateway, request, share)
        ingest_request, rejected = await _decode_body(gateway, body, principal, keyed_id, now_us, decode, admission)
        if dry:
            from mockupaws.ingest_gateway.dry_run import answer_dry_run  # loads the detectors: only where one is asked

            return await answer_dry_run(ingest_request, rejected, gateway.pool, gateway.settings)
        request_id, hash_ = ingest_request.request_id, ingest_request.body_hash
        encoded = NewRequest(request_id, encode_request(ingest_request), len(ingest_request.entries))
        del ingest_request, body  # while it waits for its ack, a request takes no more memory than its record
        share.shrink_to(len(encoded.encoded))
        if keyed_id is None:
            duplicate = False
            await _store(gateway, principal, encoded, None)
        else:
            store = partial(_store, gateway, principal, encoded, hash_)
            duplicate = await gateway.keyed_requests.store_once(principal, request_id, hash_, store)
        if not duplicate:
            lag_share.weigh(len(encoded.encoded))
    if not duplicate:
        _accepted_entries.inc(encoded.lines)
    if rejected:
        _rejected_entries.inc(len(rejected))
    return accept(id_text(request_id), encoded.lines, rejected, duplicate)


async def _admit(gateway: Gateway, request: HttpRequest, principal: Principal, announced: int | None) -> Admission:
    try:
        return await gateway.limits.admit(principal, announced)
    except RefusedError:
        await gateway.bodies.discard(request)
        raise


async def _admit_by_lag(
    gateway: Gateway,
    request: HttpRequest,
    principal: Principal,
    keyed_id: bytes | None,
    announced: int | None,
    dry: bool,
) -> LagShare:
    """What adds nothing to what waits is let in always: dry runs, and repeats of what was accepted, or is being."""
    share = gateway.lag.ask(principal.tenant_bytes, announced)
    if share.admitted or dry:
        return share
    if keyed_id is not None and await gateway.keyed_requests.is_known(principal, keyed_id):
        return share
    await gateway.bodies.discard(request)
    raise gateway.lag.refusal(share)


async def _read_body(gateway: Gateway, request: HttpRequest, share: ByteShare) -> bytes:
    limit = gateway.settings.max_body_bytes
    body = await gateway.bodies.read(request, limit, share)
    encoding = request.headers.get("content-encoding")
    if encoding is not None and (encodings := content_encodings(encoding)):
        body = inflate_body(body, encodings, limit)
        share.take(len(body))
    INGEST_BODY_BYTES.inc(len(body))
    return body


async def _decode_body(
    gateway: Gateway,
    body: bytes,
    principal: Principal,
    keyed_id: bytes | None,
    now_us: int,
    decode: Callable[[bytes, EntryLimits], Decoded],
    admission: Admission,
) -> tuple[IngestRequest, list[Rejection]]:
    decoded = decode(body, entry_limits(gateway.settings, now_us))
    admission.weigh(len(decoded.entries) + len(decoded.rejected), len(body))
    scenario_id = decoded.scenario_id.bytes
    scenario = await _check_scenario(gateway, principal, scenario_id)
    if not decoded.entries:
        _rejected_entries.inc(len(decoded.rejected))
        raise RefusedError("all_entries_rejected", "no entry could be accepted", decoded.rejected)
    # The entries hang on an id of ours: two requests that carry one X-Request-Id are two all the same.
    request_id = keyed_id or gateway.publisher.place(gateway.ids.mint(now_us))
    ingest_request = IngestRequest(
        request_id,
        principal.tenant_bytes,
        scenario_id,
        now_us,
        # Of an id that nobody else can name there is nothing to compare.
        body_hash(scenario_id, body) if keyed_id else request_id,
        decoded.entries,
        token_encoding=scenario.token_encoding,
    )
    return ingest_request, decoded.rejected


async def _store(gateway: Gateway, principal: Principal, encoded: NewRequest, keyed_body_hash: bytes | None) -> None:
    deadline = asyncio.get_running_loop().time() + gateway.settings.publish_deadline_seconds
    await make_durable(gateway.publisher, gateway.spool, encoded, deadline)
    # Only now: what is remembered earlier would be answered `duplicate` after a kill, and be nowhere.
    gateway.accepted_requests.remember(principal.tenant_text, encoded.request_id, encoded.lines, keyed_body_hash)


def entry_limits(settings: Settings, now_us: int) -> EntryLimits:
    times = TimestampRange.at(now_us, settings.oldest_timestamp_year, settings.newest_timestamp_seconds)
    return EntryLimits(settings.max_entries, settings.max_message_bytes, times)


def _decoder_of(request: HttpRequest) -> Callable[[bytes, EntryLimits], Decoded]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in JSON_TYPES:
        return decode_json
    if content_type in NDJSON_TYPES:
        scenario_id = scenario_of(request.headers.get("x-scenario-id") or request.query.get("scenario_id"))
        return lambda body, limits: decode_ndjson(body, scenario_id, limits)
    raise RefusedError("unsupported_media_type", "Content-Type must be application/json or application/x-ndjson")


async def _check_scenario(gateway: Gateway, principal: Principal, scenario_id: bytes) -> ScenarioRecord:
    # The same answer for a scenario of another tenant and for none: existence is nobody else's to know.
    scenario = await gateway.directory.find_scenario(scenario_id)
    if scenario is None or scenario.tenant_id != principal.tenant_bytes:
        raise RefusedError("scenario_not_found", "there is no such scenario; check scenario_id")
    return scenario
