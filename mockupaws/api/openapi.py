"""openapi.json, made of the table of routes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from mockupaws.api.errors import ERRORS
from mockupaws.api.routing import ApiRoute
from mockupaws.runtime.http_edge import EDGE_ERRORS
from mockupaws.schemas.http.errors import ErrorAnswer
from mockupaws.schemas.http.headers import described_headers

_REFERENCE = "#/components/schemas/{name}"
_FRESHNESS: dict[str, Any] = {
    "Replica-Lag-Seconds": {
        "description": "how far the server that was read from was behind the primary when it was last looked at",
        "schema": {"type": "number", "minimum": 0},
    },
    "Data-Through": {
        "description": "received_at of the newest stored line of the scenario, where its traffic was read; of two "
        "scenarios the earlier; none where there is no line",
        "schema": {"type": "string", "format": "date-time"},
    },
}


def openapi_document(routes: Iterable[ApiRoute], version: str) -> dict[str, Any]:
    routes = list(routes)
    types: list[Any] = [ErrorAnswer]
    for route in routes:
        types += [kind for kind in (route.query, route.body, route.answers) if kind is not None]
    unique = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REFERENCE)
    schema_of = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        parameters = _parameters(route, components[route.query.__name__])
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, parameters, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mockupAWS API", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "access token or API key"},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _operation(route: ApiRoute, parameters: list[dict[str, Any]], schema_of: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": parameters,
        "responses": _responses(route, schema_of),
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[route.body]}},
        }
    if route.scope is not None or route.signed_in:
        operation["security"] = [{"bearer": []}, {"api_key": []}]
    if route.scope is not None:
        operation["description"] = f"Needs the scope `{route.scope}`."
    return operation


def _parameters(route: ApiRoute, query_schema: dict[str, Any]) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    in_query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in query_schema.get("properties", {}).items()
    ]
    in_header = [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in (*route.headers, *(("Read-After",) if route.method == "GET" and route.scope == "read" else ()))
    ]
    return [*in_path, *in_query, *in_header]


def _responses(route: ApiRoute, schema_of: dict[Any, Any]) -> dict[str, Any]:
    codes = {"invalid_parameter", *(kind.code for kind in EDGE_ERRORS), *route.errors}
    if route.scope is not None or route.signed_in:
        codes |= {"unauthenticated", "forbidden", "unavailable"}
        if route.limit is not None:
            codes.add("rate_limited")
    if "{" in route.path:
        codes.add("not_found")
    if route.body is not None:
        codes |= {"malformed_body", "invalid_body", "body_too_large", "body_timeout", "unavailable"}
    headers = described_headers() | (_FRESHNESS if route.scope == "read" else {})
    success: dict[str, Any] = {"description": HTTPStatus(route.status).phrase, "headers": headers}
    if route.status != HTTPStatus.NO_CONTENT:
        success["content"] = {route.media_type: {"schema": schema_of[route.answers]} if route.answers else {}}
        success["content"] |= {media_type: {} for media_type in route.other_media_types}
    responses: dict[str, Any] = {str(route.status): success}
    if "If-None-Match" in route.headers:
        responses["304"] = {"description": "the answer is the one whose ETag was sent", "headers": headers}
    for status in sorted({ERRORS[code].status for code in codes}):
        named = sorted(code for code in codes if ERRORS[code].status == status)
        responses[str(status)] = {
            "description": "; ".join(f"{code}: {ERRORS[code].meaning}" for code in named),
            "headers": described_headers(status),
            "content": {"application/json": {"schema": schema_of[ErrorAnswer]}},
        }
    return responses
