"""Which errors of the object store or of Postgres the next attempt may not meet."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

from mockupaws.runtime import postgres

_RETRIABLE_CODES = frozenset(
    {"InternalError", "RequestTimeout", "RequestTimeTooSkewed", "ServiceUnavailable", "SlowDown", "ThrottlingException"}
)


def is_retriable(error: BaseException) -> bool:
    """Wrong credentials, a missing bucket or a refused call stay wrong; what remains is trouble that passes."""
    if isinstance(error, (PermissionError, FileNotFoundError, NoCredentialsError, ParamValidationError)):
        return False
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _RETRIABLE_CODES or status == 429 or status >= 500
    return isinstance(error, BotoCoreError) or postgres.is_retriable(error)
