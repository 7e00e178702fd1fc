"""The gateway's own part of the OpenAPI document, made from the error table and the wire types."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

from mockupaws import __version__
from mockupaws.ingest_gateway.errors import ERRORS, Rejection
from mockupaws.ingest_gateway.protocols.decoded import WireEntry
from mockupaws.runtime.http_edge import EDGE_ERRORS
from mockupaws.schemas.http.errors import ErrorAnswer, ErrorKind
from mockupaws.schemas.http.headers import described_headers

_REF = "#/components/schemas/{name}"
_OTHER_ROUTES_ONLY = ("not_found", "method_not_allowed")


@cache
def openapi_document() -> bytes:
    """OpenAPI 3.1, as JSON."""
    _, components = msgspec.json.schema_components([WireEntry, Rejection, ErrorAnswer], ref_template=_REF)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "mockupAWS ingest gateway", "version": __version__},
            "paths": {"/api/v1/ingest": {"post": _ingest()}, **_plain_routes()},
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "description": "API key or access token"},
                    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                },
            },
        }
    )


def _ingest() -> dict[str, Any]:
    entry = {"$ref": _REF.format(name="WireEntry")}
    return {
        "operationId": "ingest",
        "summary": "Accept log entries of one scenario; 202 means they are durable.",
        "security": [{"bearer": []}, {"api_key": []}],
        "parameters": [
            _parameter("Idempotency-Key", "header", {"type": "string", "minLength": 1, "maxLength": 255}),
            _parameter("Content-Encoding", "header", {"enum": ["gzip", "zstd", "deflate", "identity"]}),
            _parameter("X-Scenario-Id", "header", {"type": "string", "format": "uuid"}),
            _parameter("scenario_id", "query", {"type": "string", "format": "uuid"}),
            _parameter("dry_run", "query", {"enum": ["0", "1"]}),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["scenario_id", "logs"],
                        "additionalProperties": False,
                        "properties": {
                            "scenario_id": {"type": "string", "format": "uuid"},
                            "logs": {"type": "array", "minItems": 1, "maxItems": 10_000, "items": entry},
                        },
                    }
                },
                "application/x-ndjson": {"schema": entry},
            },
        },
        "responses": {
            "202": {
                "description": "Durable.",
                "headers": described_headers(),
                "content": {"application/json": {"schema": _accepted()}},
            },
            "200": {
                "description": "Dry run: what would be stored, and its cost; nothing was.",
                "headers": described_headers(),
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_refusals(kind for kind in ERRORS.values() if kind.code not in _OTHER_ROUTES_ONLY),
        },
    }


def _accepted() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["request_id", "accepted", "rejected", "duplicate", "receipt"],
        "properties": {
            "request_id": {"type": "string", "format": "uuid"},
            "accepted": {"type": "integer"},
            "rejected": {"type": "array", "items": {"$ref": _REF.format(name="Rejection")}},
            "duplicate": {"type": "boolean"},
            "receipt": {"type": "string"},
        },
    }


def _refusals(kinds: Iterable[ErrorKind]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for kind in kinds:
        answer = answers.setdefault(
            str(kind.status),
            {
                "description": "",
                "headers": described_headers(kind.status),
                "content": {"application/json": {"schema": {"$ref": _REF.format(name="ErrorAnswer")}}},
            },
        )
        answer["description"] += f"`{kind.code}`: {kind.meaning}. "
    return answers


def _plain_routes() -> dict[str, Any]:
    rows = (
        ("/health", "alive", "The process runs.", {"200": "Alive."}, "application/json"),
        (
            "/health/ready",
            "ready",
            "Whether ingest works.",
            {"200": "Ready.", "503": "Draining, or cut off from Kafka with no spool that takes."},
            "application/json",
        ),
        ("/metrics", "metrics", "Prometheus metrics.", {"200": "Text exposition."}, "text/plain"),
        ("/api/v1/openapi.json", "openapi", "This description.", {"200": "OpenAPI 3.1."}, "application/json"),
    )
    return {
        path: {
            "get": {
                "operationId": name,
                "summary": summary,
                "responses": {
                    **{
                        status: {"description": text, "headers": described_headers(), "content": {media_type: {}}}
                        for status, text in answers.items()
                    },
                    **_refusals(EDGE_ERRORS),
                },
            }
        }
        for path, name, summary, answers, media_type in rows
    }


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": False, "schema": schema}
