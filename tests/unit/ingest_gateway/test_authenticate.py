from __future__ import annotations

import os
import uuid
from datetime import datetime

import msgspec
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


async def test_a_key_that_was_proved_is_checked_anew_once_its_record_changes() -> None:
    key, other = (api_keys.mint(os.urandom(api_keys.RANDOM_BYTES)) for _ in range(2))
    tenant_id = uuid.uuid4()
    record = KeyRecord(
        key.prefix, tenant_id.bytes, api_keys.secret_hmac(PEPPER, key.secret), ["ingest"], 1_000_000, False
    )

    async def find_key(_: str) -> KeyRecord | None:
        return record

    async def look_again(_: str) -> None: ...

    def note_use(prefix: str, at: datetime) -> None: ...

    authenticator = Authenticator(find_key, look_again, lambda _: False, note_use, Settings(api_key_pepper=PEPPER))
    headers = {"x-api-key": key.text}

    async def refused(now_us: int = 1) -> str:
        with pytest.raises(RefusedError) as caught:
            await authenticator.authenticate(headers, now_us)
        return caught.value.kind.code

    for _ in range(2):
        assert (await authenticator.authenticate(headers, 1)).tenant_id == tenant_id
    assert await refused(1_000_000) == "unauthenticated"  # expired
    proved = record
    record = msgspec.structs.replace(proved, revoked=True)
    assert await refused() == "unauthenticated"
    record = msgspec.structs.replace(proved, secret_hmac=api_keys.secret_hmac(PEPPER, other.secret))
    assert await refused() == "unauthenticated"
    record = msgspec.structs.replace(proved, scopes=["read"])
    assert await refused() == "forbidden"
