"""Headers of answers: those that keep a browser from doing harm with them, and what the OpenAPI documents say."""

from __future__ import annotations

from typing import Any

SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"private, no-store"),
]
"""Of each answer that doesn't set its own."""

_RETRYABLE = (408, 429, 503)


def described_headers(status: int = 200) -> dict[str, Any]:
    """Headers that every answer of this status carries."""
    described: dict[str, Any] = {
        "X-Request-Id": {
            "description": "names this exchange in logs; the caller's own where it sent a UUID or trace id",
            "required": True,
            "schema": {"type": "string"},
        }
    }
    if status in _RETRYABLE:
        described["Retry-After"] = {"description": "seconds", "schema": {"type": "integer"}}
    return described
