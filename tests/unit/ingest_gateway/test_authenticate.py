from __future__ import annotations

import os
import uuid
from datetime import datetime

import pytest

from mockupaws.ingest_gateway.authenticate import Authenticator
from mockupaws.ingest_gateway.directory import KeyRecord
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime import api_keys
from mockupaws.runtime.settings import Settings

PEPPER = "p" * 32


async def test_a_known_prefix_with_a_wrong_secret_is_looked_up_as_an_unknown_one_is() -> None:
    key = api_keys.mint(os.urandom(api_keys.RANDOM_BYTES))
    secret_hmac = api_keys.secret_hmac(PEPPER, key.secret)
    stored = KeyRecord(key.prefix, uuid.uuid4().bytes, secret_hmac, ["ingest"], None, False)
    looked_again: list[str] = []

    async def find_key(prefix: str) -> KeyRecord | None:
        return stored if prefix == key.prefix else None

    async def look_again(prefix: str) -> None:
        looked_again.append(prefix)

    def note_use(prefix: str, at: datetime) -> None: ...

    authenticator = Authenticator(find_key, look_again, lambda _: False, note_use, Settings(api_key_pepper=PEPPER))
    await authenticator.authenticate({"x-api-key": key.text}, 1)
    assert looked_again == []
    for wrong in (f"mk_{key.prefix}_{'a' * len(key.secret)}", f"mk_{'a' * len(key.prefix)}_{key.secret}"):
        with pytest.raises(RefusedError, match="unknown, expired or revoked"):
            await authenticator.authenticate({"x-api-key": wrong}, 1)
    assert looked_again == [key.prefix]
