"""Every way the API refuses a request: one table of code → status, and the error that carries a row of it."""

from __future__ import annotations

from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.http_edge import EDGE_ERRORS
from mockupaws.schemas.http.errors import ErrorKind

ERRORS: dict[str, ErrorKind] = {
    kind.code: kind
    for kind in (
        *EDGE_ERRORS,
        ErrorKind("invalid_parameter", 400, False, "a query or path parameter is unknown, repeated or malformed"),
        ErrorKind("invalid_cursor", 400, False, "the cursor was altered, or belongs to another query"),
        ErrorKind("too_much_to_look_at", 400, False, "the window holds more lines than are looked at for one answer"),
        ErrorKind("malformed_body", 400, False, "the body is no JSON object"),
        ErrorKind("unauthenticated", 401, False, "no credential, or one that is unknown, expired or revoked"),
        ErrorKind("forbidden", 403, False, "the credential lacks the scope of this route"),
        ErrorKind("not_found", 404, False, "this tenant has no such thing, or the path is unknown"),
        ErrorKind("method_not_allowed", 405, False, "the path exists, the method doesn't"),
        ErrorKind("body_timeout", 408, True, "the body did not arrive in time"),
        ErrorKind("version_conflict", 409, False, "somebody changed it since it was read: read it again"),
        ErrorKind("email_taken", 409, False, "the e-mail can't be used for a new user"),
        ErrorKind("last_owner", 409, False, "the tenant would be left without an owner"),
        ErrorKind("key_ended", 409, False, "the key is revoked, expired or rotated already"),
        ErrorKind("keys_used_up", 409, False, "the tenant's key can be rotated no more"),
        ErrorKind("body_too_large", 413, False, "the body exceeds the limit"),
        ErrorKind("invalid_body", 422, False, "a field of the body is missing, unknown or out of range"),
        ErrorKind("no_tenant_key", 422, False, "the tenant's key can't be made or read: the server lacks its secret"),
        ErrorKind("rate_limited", 429, True, "the tenant's calls of a minute are used up"),
        ErrorKind("too_many_attempts", 429, True, "too many sign-ins of this account or from this address"),
        ErrorKind("too_many_tails", 429, True, "this process serves as many live tails as it may"),
        ErrorKind("look_budget_used", 429, True, "the tenant's searches have looked at as many lines as they may"),
        ErrorKind("unavailable", 503, True, "the database can't be reached, or took too long"),
    )
}


class RefusedError(PipelineError):
    """The request is answered with row `code` of the table; `retry_after` in seconds, where waiting helps."""

    def __init__(
        self, code: str, message: str, retry_after: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.kind = ERRORS[code]
        self.message = message
        self.retry_after = retry_after
        self.headers = headers or {}
