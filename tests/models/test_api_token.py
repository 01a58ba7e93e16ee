from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models.api_token import ApiToken
from app.models.types import utc_now
from app.models.user import User


@pytest.fixture
def owner(app_context: Flask) -> User:
    user = User(email="a@example.com", name="A", password_hash="x")
    db.session.add(user)
    db.session.commit()
    return user


def saved(owner: User, name: str) -> ApiToken:
    token = ApiToken(user_id=owner.id, name=name, token_hash=name * 32, prefix="gh_")
    db.session.add(token)
    db.session.commit()
    return token


def test_a_number_is_never_given_again_for_records_name_it(owner: User) -> None:
    first = saved(owner, "a")
    number = first.id
    db.session.delete(first)
    db.session.commit()
    assert saved(owner, "b").id > number


def test_an_account_has_one_token_of_a_name(owner: User) -> None:
    saved(owner, "a")
    other = ApiToken(user_id=owner.id, name="a", token_hash="b", prefix="gh_")
    db.session.add(other)
    with pytest.raises(IntegrityError):
        db.session.commit()


@pytest.mark.parametrize(
    ("seconds", "expired"), [(None, False), (60, False), (0, True), (-9, True)]
)
def test_a_token_expires_at_its_time(seconds: int | None, expired: bool) -> None:
    end = None if seconds is None else utc_now() + timedelta(seconds=seconds)
    assert ApiToken(expires_at=end).expired is expired
