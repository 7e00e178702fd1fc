"""Every way the gateway refuses a request: one table of code → status, and the error that carries a row of it."""

from __future__ import annotations

import msgspec

from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.http_edge import EDGE_ERRORS
from mockupaws.schemas.http.errors import ErrorKind

ERRORS: dict[str, ErrorKind] = {
    kind.code: kind
    for kind in (
        *EDGE_ERRORS,
        ErrorKind("malformed_body", 400, False, "the body is not of the announced format or encoding"),
        ErrorKind("invalid_request", 400, False, "a field outside the entries is missing or of the wrong type"),
        ErrorKind("no_entries", 400, False, "the request holds no entry"),
        ErrorKind("all_entries_rejected", 400, False, "no entry could be accepted; `rejected` says why"),
        ErrorKind("unauthenticated", 401, False, "no credential, or one that is unknown, expired or revoked"),
        ErrorKind("forbidden", 403, False, "the credential doesn't allow ingest"),
        ErrorKind("scenario_not_found", 404, False, "this tenant has no such scenario"),
        ErrorKind("not_found", 404, False, "no such path"),
        ErrorKind("method_not_allowed", 405, False, "the path exists, the method doesn't"),
        ErrorKind("body_timeout", 408, True, "the body did not arrive in time"),
        ErrorKind("body_too_large", 413, False, "the body exceeds the limit, on the wire or after inflating"),
        ErrorKind("too_many_entries", 413, False, "the request holds more entries than one request may"),
        ErrorKind("unsupported_media_type", 415, False, "Content-Type or Content-Encoding is none we read"),
        ErrorKind("idempotency_key_reused", 422, False, "another body was accepted under this Idempotency-Key"),
        ErrorKind("rate_limited", 429, True, "the tenant's requests of a minute are used up"),
        ErrorKind("quota_exhausted", 429, True, "the tenant's bytes or tokens of the day are used up"),
        ErrorKind("backlogged", 429, True, "more comes in than can soon be read, and the tenant is above its share"),
        ErrorKind("overloaded", 503, True, "too many bytes are held in memory, or wait for the brokers"),
        ErrorKind(
            "not_durable",
            503,
            True,
            "neither the brokers nor the spool took the entries in time; they may still arrive",
        ),
        ErrorKind("directory_unavailable", 503, True, "a credential, scenario or policy can't be looked up"),
        ErrorKind("draining", 503, True, "this process is stopping"),
    )
}

RETRY_AFTER_SECONDS = 1


class Rejection(msgspec.Struct, frozen=True):
    """An entry that was not accepted; `message` names the field, never its value."""

    index: int
    code: str
    message: str


class RefusedError(PipelineError):
    """The request is answered with row `code` of the table; `rejected` names its entries where that is why."""

    def __init__(
        self,
        code: str,
        message: str,
        rejected: list[Rejection] | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = ERRORS[code]
        self.message = message
        self.rejected = rejected
        self.retry_after = retry_after
        """Seconds, where the usual pause would be in vain."""
        self.headers = headers or {}
