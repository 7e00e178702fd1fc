from __future__ import annotations

import asyncio
import uuid

import pytest

from mockupaws.ingest_gateway.accepted_requests import AcceptedRequests
from mockupaws.ingest_gateway.authenticate import Principal
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.keyed_requests import MAX_KEY, KeyedRequests, id_of_key
from mockupaws.runtime.redis_client import redis_circuit

PRINCIPAL = Principal.of(uuid.UUID(int=1), ["ingest"])
ID, HASH = b"i" * 16, b"h" * 16


class Store:
    """Of a request: takes until `may_end` is set."""

    def __init__(self, accepted: AcceptedRequests) -> None:
        self.accepted = accepted
        self.stored = 0
        self.may_end = asyncio.Event()
        self.fails = False

    async def __call__(self) -> None:
        await self.may_end.wait()
        if self.fails:
            raise RefusedError("not_durable", "no")
        self.stored += 1
        self.accepted.remember(PRINCIPAL.tenant_text, ID, 1, HASH)


@pytest.fixture
async def store() -> Store:
    return Store(AcceptedRequests(None, redis_circuit(), 1.0))


async def test_of_the_same_request_many_times_at_once_one_is_stored(store: Store) -> None:
    keyed = KeyedRequests(store.accepted)
    assert not await keyed.is_known(PRINCIPAL, ID)
    calls = [asyncio.create_task(keyed.store_once(PRINCIPAL, ID, HASH, store)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await keyed.is_known(PRINCIPAL, ID), "while it is on its way"
    store.may_end.set()
    assert sorted(await asyncio.gather(*calls)) == [False, True, True, True, True]
    assert await keyed.is_known(PRINCIPAL, ID)
    assert await keyed.store_once(PRINCIPAL, ID, HASH, store)
    assert store.stored == 1


async def test_another_body_under_the_key_is_refused(store: Store) -> None:
    keyed = KeyedRequests(store.accepted)
    store.may_end.set()
    await keyed.store_once(PRINCIPAL, ID, HASH, store)
    with pytest.raises(RefusedError) as caught:
        await keyed.store_once(PRINCIPAL, ID, b"another body....", store)
    assert caught.value.kind.code == "idempotency_key_reused"


async def test_what_could_not_be_stored_is_nobodys_duplicate(store: Store) -> None:
    keyed = KeyedRequests(store.accepted)
    store.fails = True
    calls = [asyncio.create_task(keyed.store_once(PRINCIPAL, ID, HASH, store)) for _ in range(2)]
    await asyncio.sleep(0)
    store.may_end.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [RefusedError, RefusedError]
    store.fails = False
    assert not await keyed.store_once(PRINCIPAL, ID, HASH, store)
    assert store.stored == 1


def test_a_key_has_1_to_255_characters() -> None:
    assert id_of_key({}, PRINCIPAL) is None
    assert id_of_key({"idempotency-key": "k" * MAX_KEY}, PRINCIPAL) is not None
    for key in ("", "k" * (MAX_KEY + 1)):
        with pytest.raises(RefusedError):
            id_of_key({"idempotency-key": key}, PRINCIPAL)
