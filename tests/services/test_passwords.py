import hashlib
from typing import Any

import pytest

from app.services.passwords import hash_password, password_matches


@pytest.fixture(autouse=True)
def cheap_passwords() -> None:
    """Hash as the application does."""


def test_a_hash_matches_its_password_only() -> None:
    kept = hash_password("correct horse battery")
    assert password_matches(kept, "correct horse battery")
    assert not password_matches(kept, "correct horse batterY")


def test_two_hashes_of_one_password_differ_and_do_not_show_it() -> None:
    one, two = hash_password("correct horse battery"), hash_password("correct horse battery")
    assert one != two
    assert "horse" not in one


def test_an_accented_letter_is_the_same_however_the_keyboard_composes_it() -> None:
    assert password_matches(hash_password("caf\u00e9 au lait"), "cafe\u0301 au lait")


def test_nothing_matches_an_account_that_does_not_exist() -> None:
    assert not password_matches(None, "correct horse battery")


def test_an_unknown_account_costs_as_much_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = hash_password("correct horse battery")
    work: list[Any] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **options: Any) -> bytes:
        work.append((password, len(options.pop("salt")), options))
        return scrypt(password, salt=b"x", **options)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    for password_hash in (kept, None):
        assert not password_matches(password_hash, "a wrong password")
    known, unknown = work
    assert known == unknown
    assert known[2]["n"] >= 2**15


@pytest.mark.parametrize("password", ["a\0b", "a\ud800b", "a\nb"])
def test_a_password_that_nobody_can_have_matches_nothing(password: str) -> None:
    assert not password_matches(hash_password("correct horse battery"), password)
