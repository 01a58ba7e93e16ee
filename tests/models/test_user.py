import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models.types import utc_now
from app.models.user import ADMIN, USER, User


def saved(**fields: object) -> User:
    user = User(**{"email": "a@example.com", "name": "A", "password_hash": "x", **fields})
    db.session.add(user)
    db.session.commit()
    return user


def test_a_new_account_is_an_active_user_in_its_first_session_version(app_context: Flask) -> None:
    user = saved()
    assert (user.role, user.active, user.session_version) == (USER, True, 1)
    assert user.last_login_at is None
    assert abs((utc_now() - user.created_at).total_seconds()) < 60


def test_an_address_has_one_account(app_context: Flask) -> None:
    saved()
    with pytest.raises(IntegrityError):
        saved()


def test_a_role_that_does_not_exist_is_refused_by_the_database(app_context: Flask) -> None:
    with pytest.raises(IntegrityError):
        saved(role="owner")


@pytest.mark.parametrize(("role", "is_admin"), [(USER, False), (ADMIN, True)])
def test_only_the_role_admin_makes_an_administrator(role: str, is_admin: bool) -> None:
    assert User(role=role).is_admin is is_admin


def test_a_session_names_the_account_and_its_session_version(app_context: Flask) -> None:
    user = saved(session_version=7)
    assert user.get_id() == f"{user.id}:7"


def test_an_inactive_account_is_inactive_for_flask_login(app_context: Flask) -> None:
    user = saved(active=False)
    assert user.is_active is False
    assert user.is_authenticated is False


def test_rows_made_by_hand_get_the_same_defaults(app_context: Flask) -> None:
    statement = db.text(
        "INSERT INTO users (email, name, password_hash, created_at)"
        " VALUES ('b@example.com', 'B', 'x', '2026-01-01 00:00:00.000000')"
    )
    db.session.execute(statement)
    user = db.session.scalars(select(User)).one()
    assert (user.role, user.active, user.session_version) == (USER, True, 1)
