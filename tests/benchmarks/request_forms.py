"""The same lines as each system takes them over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

FormName = Literal["mockupaws", "karapace", "otlp"]
_FIELDS = ("scenario_id", "source", "level", "message")
_CONNECT_SCHEMA = {
    "type": "struct",
    "name": "log",
    "optional": False,
    "fields": [{"field": name, "type": "string", "optional": False} for name in _FIELDS],
}


@dataclass(frozen=True)
class Form:
    path: str
    content_type: str
    body: Callable[[str, Sequence[dict[str, object]]], dict[str, object]]
    """Of a scenario's lines."""


def _ours(scenario_id: str, logs: Sequence[dict[str, object]]) -> dict[str, object]:
    return {"scenario_id": scenario_id, "logs": logs}


def _records(scenario_id: str, logs: Sequence[dict[str, object]]) -> dict[str, object]:
    """A record a line, each with its schema: what Kafka Connect's JSON converter needs to know the columns."""
    rows = [{"scenario_id": scenario_id} | {name: log[name] for name in _FIELDS[1:]} for log in logs]
    return {"records": [{"value": {"schema": _CONNECT_SCHEMA, "payload": row}} for row in rows]}


def _otlp(scenario_id: str, logs: Sequence[dict[str, object]]) -> dict[str, object]:
    records = [
        {
            "timeUnixNano": "1795420800000000000",
            "severityText": log["level"],
            "body": {"stringValue": log["message"]},
            "attributes": [_attribute("source", log["source"])],
        }
        for log in logs
    ]
    resource = {"attributes": [_attribute("scenario_id", scenario_id)]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}


def _attribute(name: str, value: object) -> dict[str, object]:
    return {"key": name, "value": {"stringValue": value}}


FORMS: dict[FormName, Form] = {
    "mockupaws": Form("/api/v1/ingest", "application/json", _ours),
    "karapace": Form("/topics/karapace-logs", "application/vnd.kafka.json.v2+json", _records),
    "otlp": Form("/v1/logs", "application/json", _otlp),
}


def encode(form: Form, scenario_id: str, logs: Sequence[dict[str, object]]) -> bytes:
    return json.dumps(form.body(scenario_id, logs), separators=(",", ":")).encode()
