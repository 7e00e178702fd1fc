"""Signing in: e-mail and password for an access token."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.routing import Call, answer


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(min_length=1, max_length=320)]
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class AccessToken(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str
    expires_in: int


async def log_in(call: Call) -> Response:
    body: Credentials = call.body
    token = await call.services.authenticator.log_in(body.email, body.password)
    if token is None:
        raise RefusedError("unauthenticated", "e-mail or password is wrong")
    document = AccessToken(token, "Bearer", call.services.settings.access_token_seconds)
    return answer(document, headers={"Cache-Control": "no-store"})
