from __future__ import annotations

from mockupaws import __version__
from mockupaws.api.app import all_routes
from mockupaws.api.openapi import openapi_document
from mockupaws.api.receipts import state_of


def test_every_route_is_described_and_nothing_else() -> None:
    routes = all_routes()
    document = openapi_document(routes, __version__)
    described = {(m.upper(), path) for path, operations in document["paths"].items() for m in operations}
    assert described == {(route.method, route.path) for route in routes}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"400", "500"} <= set(operation["responses"])


def test_only_the_public_routes_need_no_credential() -> None:
    public = {route.path for route in all_routes() if route.scope is None and not route.signed_in}
    assert public == {
        "/",
        "/style.css",
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/openapi.json",
        "/health",
        "/health/ready",
        "/health/db",
        "/metrics",
    }


def test_receipt_states() -> None:
    assert state_of(5, 0, 0) == "queued"
    assert state_of(5, 4, 0) == "queued"
    assert state_of(5, 5, 0) == "stored"
    assert state_of(5, 3, 2) == "partly_dead_lettered"
    assert state_of(5, 0, 5) == "dead_lettered"
