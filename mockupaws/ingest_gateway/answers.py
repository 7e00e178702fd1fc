"""What the ingest endpoint answers: 202 with what became of the entries, or a row of the error table."""

from __future__ import annotations

import msgspec

from mockupaws.ingest_gateway.errors import RETRY_AFTER_SECONDS, Rejection
from mockupaws.ingest_gateway.http_exchange import Answer
from mockupaws.schemas.http.errors import ErrorBody, ErrorKind

encode_json = msgspec.json.encode


class _Accepted(msgspec.Struct):
    request_id: str
    accepted: int
    rejected: list[Rejection]
    duplicate: bool
    receipt: str


class _Refused(msgspec.Struct, omit_defaults=True):
    error: ErrorBody
    rejected: list[Rejection] = []


def accept(request_id: str, accepted: int, rejected: list[Rejection], duplicate: bool) -> Answer:
    body = _Accepted(request_id, accepted, rejected, duplicate, f"/api/v1/ingest/receipts/{request_id}")
    return Answer(202, encode_json(body))


def refuse(
    kind: ErrorKind,
    message: str,
    request_id: str,
    rejected: list[Rejection] | None = None,
    retry_after: int | None = None,
) -> Answer:
    """The answer of a row of the error table."""
    body = _Refused(ErrorBody(kind.code, message, kind.retryable, request_id), rejected or [])
    headers = {}
    if kind.status in (429, 503):
        headers["Retry-After"] = str(retry_after or RETRY_AFTER_SECONDS)
    if kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(kind.status, encode_json(body), headers)
