from __future__ import annotations

import uuid

from mockupaws.runtime.mint_ids import IdMint


def test_each_id_is_another_uuid_of_its_time() -> None:
    mint = IdMint()
    ids = [uuid.UUID(bytes=mint.mint(1_700_000_000_000_000)) for _ in range(1000)]
    assert len({str(id_)[-12:] for id_ in ids}) == 1000, "the randomness is drawn anew where it was used up"
    assert {(id_.version, id_.variant, id_.int >> 80) for id_ in ids} == {(7, uuid.RFC_4122, 1_700_000_000_000)}
    assert IdMint().mint(0) != IdMint().mint(0)
