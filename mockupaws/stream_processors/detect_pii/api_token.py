"""API_TOKEN: keys with an issuer's prefix, bearer and basic credentials, and what is assigned to a token's name."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import is_masked, value_after
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_PREFIXES = (
    "gh[pousr]_[A-Za-z0-9]{20}",
    "github_pat_[A-Za-z0-9_]{20}",
    "glpat-[A-Za-z0-9_-]{16}",
    "xox[abeprs]-[A-Za-z0-9-]{10}",
    "xapp-[0-9]-[A-Za-z0-9-]{10}",
    "[srp]k_(?:live|test)_[A-Za-z0-9]{10}",
    "whsec_[A-Za-z0-9]{16}",
    "AIza[A-Za-z0-9_-]{35}",
    "ya29\\.[A-Za-z0-9_-]{20}",
    "sk-(?:ant|proj|svcacct|or)-[A-Za-z0-9_-]{16}",
    "sk-[A-Za-z0-9]{32}",
    "npm_[A-Za-z0-9]{30}",
    "hf_[A-Za-z0-9]{30}",
    "pypi-AgE[A-Za-z0-9_-]{20}",
    "SG\\.[A-Za-z0-9_-]{16,24}\\.[A-Za-z0-9_-]{20}",
    "dop_v1_[a-f0-9]{40}",
    "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    "mk_[A-Za-z0-9]{4,16}_[A-Za-z0-9_-]{20}",
)
_ISSUED = "|".join(_PREFIXES)
_ISSUED_TOKEN = re.compile(rf"(?<![A-Za-z0-9_])(?:{_ISSUED})[A-Za-z0-9_-]*".encode())
_ISSUED_LONGEST = 80
_CREDENTIALS = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_CREDENTIALS_SHORTEST = 16
_NAMES = (
    r"(?:api[_-]?key|api[_-]?token|access[_-]?token|auth[_-]?token|refresh[_-]?token|id[_-]?token|session[_-]?token"
    r"|bearer[_-]?token|private[_-]?token|csrf[_-]?token|x-api-key|access[_-]?key|auth[_-]?key|\btoken)"
)
_NAME_AT_END = re.compile(rf"{_NAMES}\Z".encode(), re.IGNORECASE)
_RANDOM = re.compile(rb"(?=[^\x00]*[0-9])(?=[^\x00]*[A-Za-z])[A-Za-z0-9._~+/=%:-]{16,}\Z")
_UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z", re.IGNORECASE)


def check_issued(data: bytes, end: int) -> Span | None:
    token = _ISSUED_TOKEN.search(data, max(0, end - _ISSUED_LONGEST))
    return None if token is None or not token.start() < end <= token.end() else token.span()


def check_credentials(data: bytes, end: int) -> Span | None:
    """The hit ends with the first 16 characters after `Bearer ` or `Basic `."""
    start = end - _CREDENTIALS_SHORTEST
    credentials = _CREDENTIALS.match(data, start)
    if credentials is None or not _RANDOM.match(credentials[0]):
        return None
    return credentials.span()


def check_assignment(data: bytes, end: int) -> Span | None:
    span = value_after(data, end)
    return span if span is not None and _looks_issued(data[span[0] : span[1]]) else None


def is_api_token(name: str, value: str) -> bool:
    """Whether an attribute of this name holds a token."""
    encoded = value.encode("utf-8", "replace")
    return (
        _NAME_AT_END.search(name.encode("utf-8", "replace")) is not None
        and not is_masked(encoded)
        and _looks_issued(encoded)
    )


def _looks_issued(value: bytes) -> bool:
    return _RANDOM.match(value) is not None and _UUID.match(value) is None


API_TOKEN = Detector(
    pii_type="API_TOKEN",
    why="Gives the rights of an account or service. Told by the issuer's prefix, by `Bearer`/`Basic`, or by a name and "
    "at least 16 random characters; UUIDs and words are none.",
    expressions=(
        Expression("token.issued", rf"\b(?:{_ISSUED})", check_issued, 1.0),
        Expression(
            "token.credentials",
            rf"\b(?:bearer|basic)(?:[ ]{{1,2}}|%20|\+)[A-Za-z0-9._~+/-]{{{_CREDENTIALS_SHORTEST}}}",
            check_credentials,
            0.95,
            caseless=True,
        ),
        Expression(
            "token.assignment",
            rf"{_NAMES}[\"'\\]{{0,3}}[ \t]{{0,2}}(=>|:=|[:=]|%3d)",
            check_assignment,
            0.9,
            caseless=True,
        ),
    ),
    positives=(
        (
            "push with ghp_16C7e42F292c6912E7710c838347Ae178B4a ok",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        ),
        ("Authorization: Bearer 2YotnFZFEjr1zCsicMWpAA==", "2YotnFZFEjr1zCsicMWpAA=="),
        ('{"api_key":"a8f5f167f44f4964e6c998dee827110c"}', "a8f5f167f44f4964e6c998dee827110c"),
        (
            "slack xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
            "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
        ),
    ),
    negatives=(
        "token=550e8400-e29b-41d4-a716-446655440000",
        "bearer authentication is required",
        "next token: expected identifier",
        "api_key=[API_TOKEN]",
        "trace a8f5f167f44f4964e6c998dee827110c",
        "access_token=********************",
    ),
)
