from __future__ import annotations

import bcrypt
import pytest

from mockupaws.runtime.passwords import COST, PasswordError, check_password, hash_password


def test_a_password_is_hashed_whole_at_its_cost() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith(f"$2b${COST}$")
    assert check_password("correct horse battery", stored)
    assert not check_password("correct horse batter", stored)


@pytest.mark.parametrize(("password", "why"), [("short", "at least 12"), ("x" * 73, "at most 72"), ("é" * 37, "74")])
def test_what_cannot_be_set(password: str, why: str) -> None:
    with pytest.raises(PasswordError, match=why) as caught:
        hash_password(password)
    assert password not in str(caught.value)


def test_a_longer_password_is_not_cut_to_one_that_fits() -> None:
    stored = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert check_password("x" * 72, stored)
    assert not check_password("x" * 73, stored)


def test_nobody_has_the_password_of_no_user_or_of_what_is_no_hash() -> None:
    for stored in (None, "-", ""):
        assert not check_password("correct horse battery", stored)
    assert not check_password("", bcrypt.hashpw(b"", bcrypt.gensalt(4)).decode())


def test_composed_and_decomposed_letters_are_one_password() -> None:
    assert check_password("cafe\u0301 cafe\u0301 cafe\u0301", hash_password("café café café"))


def test_nobodys_password_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[bytes] = []
    check = bcrypt.checkpw

    def counted(password: bytes, stored: bytes) -> bool:
        costs.append(stored[:7])
        return check(password, stored)

    stored = hash_password("correct horse battery")
    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for password in ("wrong", "x" * 100):
        assert not check_password(password, stored)
        assert not check_password(password, None)
    assert costs == [f"$2b${COST}$".encode()] * 4
