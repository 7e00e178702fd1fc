"""Requests with a word of our own in every field and header of every route, made of the OpenAPI documents.

Each word tells where it was put, so that a hit in a log names its leak: `cnry<random>x<place>`. A word stands alone, in
an address, in a credential and in a key's form, since a redaction may know one form and not the other.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

STANDARD_HEADERS = (
    "User-Agent", "Referer", "Cookie", "Origin", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "Forwarded", "X-Request-Id", "Traceparent", "X-Real-IP", "Accept", "Accept-Language", "If-None-Match",
    "X-HTTP-Method-Override", "Idempotency-Key", "If-Match", "Last-Event-ID", "X-Scenario-Id", "X-Unknown",
)  # fmt: skip
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Sent:
    method: str
    path: str
    headers: dict[str, str]
    content: bytes


class Canaries:
    """Makes words and finds them again."""

    def __init__(self) -> None:
        self._mark = f"cnry{secrets.token_hex(6)}"
        self._pattern = re.compile(re.escape(self._mark) + r"x\w*", re.IGNORECASE)

    def word(self, place: str) -> str:
        return f"{self._mark}x{re.sub('[^a-z0-9]', '_', place.lower())}"

    def found_in(self, text: str) -> set[str]:
        return set(self._pattern.findall(text))


def requests_of(document: dict[str, Any], canaries: Canaries, credential: str, ids: dict[str, str]) -> Iterator[Sent]:
    """For each operation: well-formed with canaries in it, and each way to be refused.

    `ids`: real values of path parameters, used beside canaries, so that a request comes further than the router.
    """
    for template, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method}_{operation['operationId']}"
            headers = {name: canaries.word(f"{place}_{name}") for name in STANDARD_HEADERS}
            known = re.sub(r"{(\w+)}", lambda match: ids.get(match[1], str(match[0])), template)
            unknown = re.sub(r"{(\w+)}", lambda match, at=place: canaries.word(f"{at}_path"), template)  # type: ignore[misc]
            query = "&".join(
                f"{parameter['name']}={canaries.word(place + '_query')}"
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "query"
            )
            valid = {**headers, "Authorization": f"Bearer {credential}"}
            body, filled, broken = _bodies(operation, document, canaries, place)
            as_json = {"Content-Type": "application/json"} if body else {}
            name = method.upper()
            yield Sent(name, known, {**valid, **as_json}, body)
            yield Sent(name, unknown, {**valid, **as_json}, body)
            yield Sent(name, f"{known}?{query}", {**valid, **as_json}, body)
            yield Sent(name, f"{known}?{canaries.word(place + '_name')}=1", valid, b"")
            yield Sent(name, known, {**valid, **as_json}, filled)
            yield Sent(name, known, {**valid, **as_json}, broken)
            yield Sent(name, known, {**valid, "Content-Type": canaries.word(f"{place}_type")}, broken)
            yield Sent(name, known, {**valid, **as_json, "Content-Encoding": canaries.word(f"{place}_coding")}, broken)
            yield Sent(name, known, {**valid, **as_json, "Content-Encoding": "gzip"}, broken)
            yield Sent(name, known, {**valid, **as_json, "Host": canaries.word(f"{place}_host")}, b"")
            for wrong in _credentials(canaries, place):
                yield Sent(name, known, {**headers, **as_json, **wrong}, body)
    too_large = json.dumps({"name": canaries.word("too_large") + "x" * 11 * 1024 * 1024}).encode()
    for path in ("/api/v1/ingest", "/api/v1/scenarios", "/api/v1/auth/login"):
        if path in document["paths"]:
            sent = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
            yield Sent("POST", path, sent, too_large)
    yield Sent("GET", "/" + canaries.word("no_route"), {"Authorization": f"Bearer {credential}"}, b"")
    yield Sent("GET", "/" + canaries.word("long") * 2000, {}, b"")


def _credentials(canaries: Canaries, place: str) -> Iterator[dict[str, str]]:
    word = canaries.word(f"{place}_credential")
    yield {"Authorization": f"Bearer {word}"}
    yield {"Authorization": f"Bearer mk_{'a' * 13}_{word}"}
    yield {"Authorization": f"Bearer eyJhbGciOiJub25lIn0.{word}.{word}"}
    yield {"Authorization": f"Basic {word}"}
    yield {"X-API-Key": f"mk_{word}_{word}"}
    yield {}


def _bodies(
    operation: dict[str, Any], document: dict[str, Any], canaries: Canaries, place: str
) -> tuple[bytes, bytes, bytes]:
    """As the schema says; with more than it says; and no JSON. Empty where the operation takes no body."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return b"", b"", b""
    schema = content["application/json"]["schema"]
    made = _example(schema, document, canaries, f"{place}_body", 0)
    more = {**made, canaries.word(f"{place}_field"): canaries.word(f"{place}_value")}
    broken = json.dumps(made).encode()[:-1] + canaries.word(f"{place}_broken").encode()
    return json.dumps(made).encode(), json.dumps(more).encode(), broken


def _example(schema: dict[str, Any], document: dict[str, Any], canaries: Canaries, place: str, depth: int) -> Any:
    """A value of the schema with canaries wherever a text may stand."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if depth > MAX_DEPTH:
        return None
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _example(schema[key][0], document, canaries, place, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            made = {
                name: _example(value, document, canaries, f"{place}_{name}", depth + 1)
                for name, value in schema.get("properties", {}).items()
            }
            if schema.get("additionalProperties", True) is not False and not made:
                made[canaries.word(f"{place}_key")] = canaries.word(f"{place}_any")
            return made
        case "array":
            return [_example(schema.get("items", {}), document, canaries, place, depth + 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
    word = canaries.word(place)
    if "email" in place:
        return f"{word[:60]}@example.com"
    return word[: schema.get("maxLength", 10_000)]
