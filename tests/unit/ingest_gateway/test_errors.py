from __future__ import annotations

import msgspec
import pytest

from mockupaws.ingest_gateway.answers import refuse
from mockupaws.ingest_gateway.errors import ERRORS, RefusedError
from mockupaws.ingest_gateway.openapi import openapi_document


@pytest.mark.parametrize("code", ERRORS)
def test_every_row_answers_in_one_shape(code: str) -> None:
    response = refuse(RefusedError(code, "why").kind, "why", "id")
    assert msgspec.json.decode(response.body)["error"] == {
        "code": code,
        "message": "why",
        "retryable": ERRORS[code].retryable,
        "request_id": "id",
    }
    assert ("Retry-After" in response.headers) == (response.status in (429, 503))


def test_a_client_error_is_never_worth_resending() -> None:
    for kind in ERRORS.values():
        assert kind.retryable == (kind.status in (408, 429, 503))


def test_openapi_names_every_refusal_of_ingest() -> None:
    answers = msgspec.json.decode(openapi_document())["paths"]["/api/v1/ingest"]["post"]["responses"]
    for kind in ERRORS.values():
        if kind.code not in ("not_found", "method_not_allowed"):
            assert f"`{kind.code}`" in answers[str(kind.status)]["description"]
