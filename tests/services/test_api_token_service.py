import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from app.extensions import db
from app.models.api_token import ApiToken
from app.models.types import utc_now
from app.models.user import User
from app.services import api_token_service
from app.services.api_token_service import (
    TOKENS_MAX,
    BadToken,
    create_token,
    list_tokens,
    revoke_token,
    use_token,
)
from app.services.errors import Invalid, NotFound
from app.services.throttle import TOKEN_PER_ADDRESS, TooManyAttempts
from tests.helpers import log_lines

HERE = "192.0.2.1"


def made(email: str) -> User:
    user = User(email=email, name="A", password_hash="x")
    db.session.add(user)
    db.session.commit()
    return user


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: Any, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    """An app on each database."""
    settings = {}
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        settings["DATABASE_URL"] = url.replace("postgresql://", "postgresql+psycopg://")
    app = make_app(**settings)
    with app.app_context():
        yield app


@pytest.fixture
def ann(app_context: Flask) -> User:
    return made("ann@example.com")


def writes(call: Callable[[], Any]) -> list[str]:
    """Return the statements of a call that change something."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", hear)
    try:
        call()
    finally:
        event.remove(db.engine, "before_cursor_execute", hear)
    return [one for one in said if not one.lstrip().startswith("SELECT")]


def change(token: ApiToken, **values: Any) -> None:
    for name, value in values.items():
        setattr(token, name, value)
    db.session.commit()


def test_a_token_works_from_its_making_to_its_end(both: Flask) -> None:
    ann = made("ann@example.com")
    token, plain = create_token(ann, " deploy ", 30)
    assert re.fullmatch(r"gh_[\w-]{43}", plain)
    assert (token.name, token.prefix) == ("deploy", plain[:11])
    assert token.expires_at is not None
    assert abs(token.expires_at - utc_now() - timedelta(days=30)) < timedelta(minutes=5)
    found = use_token(plain, HERE)
    assert (found.id, found.user.email) == (token.id, "ann@example.com")
    assert [one.id for one in list_tokens(ann)] == [token.id]
    assert revoke_token(token.id, ann).name == "deploy"
    with pytest.raises(BadToken):
        use_token(plain, HERE)
    with pytest.raises(NotFound):
        revoke_token(token.id, ann)
    assert list_tokens() == []


def test_what_is_kept_is_a_hash_and_two_tokens_differ(ann: User) -> None:
    (one, plain), (two, other) = create_token(ann, "one"), create_token(ann, "two")
    assert one.token_hash == hashlib.sha256(plain.encode()).hexdigest()
    assert (one.token_hash != two.token_hash, plain[3:] != other[3:]) == (True, True)
    db.session.expire_all()
    row = db.session.execute(db.select(*ApiToken.__table__.c)).first()
    assert plain not in str(row)


def test_making_and_ending_are_operations_that_say_who_whose_and_how(
    ann: User, app_context: Flask
) -> None:
    token, plain = create_token(ann, "deploy", 30, via="command")
    revoke_token(token.id)
    (created,) = log_lines(app_context, "token_created")
    (revoked,) = log_lines(app_context, "token_revoked")
    for record, via in ((created, "command"), (revoked, "page")):
        assert (record["target_type"], record["target_id"]) == ("token", str(token.id))
        assert record["outcome"] == "success"
        assert (record["details"]["label"], record["details"]["via"]) == ("deploy", via)
        assert record["details"]["owner"] == ann.email
    assert plain not in str(log_lines(app_context))


@pytest.mark.parametrize(
    ("name", "days", "field"),
    [("", None, "name"), (" \t", None, "name"), ("x" * 81, None, "name"), ("a\nb", None, "name"),
     ("a\0", None, "name"), ("ok", 0, "days"), ("ok", -1, "days"), ("ok", 10**9, "days"),
     ("taken", 1, "name")],
)  # fmt: skip
def test_bad_input_is_named_and_makes_nothing(
    ann: User, name: str, days: int | None, field: str
) -> None:
    create_token(ann, "taken")
    with pytest.raises(Invalid) as refused:
        create_token(ann, name, days)
    assert set(refused.value.errors) == {field}
    assert len(list_tokens()) == 1


def test_an_account_has_no_more_tokens_than_it_can_oversee(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TOKENS_MAX == 50
    monkeypatch.setattr(api_token_service, "TOKENS_MAX", 2)
    create_token(ann, "one")
    create_token(ann, "two")
    with pytest.raises(Invalid):
        create_token(ann, "three")


def test_nobody_ends_anothers_token(ann: User) -> None:
    token, plain = create_token(ann, "deploy")
    for number, owner in ((token.id, made("bob@example.com")), (2**63, None), (0, None)):
        with pytest.raises(NotFound):
            revoke_token(number, owner)
    assert use_token(plain, HERE).id == token.id


def test_of_two_who_revoke_at_once_one_is_told_that_it_was_gone(
    ann: User, app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = create_token(ann, "deploy")
    real = db.session.expunge

    def expunge_late(found: ApiToken) -> None:
        real(found)
        db.session.execute(db.delete(ApiToken))

    monkeypatch.setattr(db.session, "expunge", expunge_late)
    with pytest.raises(NotFound):
        revoke_token(token.id)
    assert [one["outcome"] for one in log_lines(app_context, "token_revoked")] == ["refused"]


def test_a_use_is_written_down_at_most_once_a_minute(ann: User) -> None:
    token, plain = create_token(ann, "deploy")
    for late, written in ((None, 1), (59, 0), (61, 1), (0, 0)):
        if late is not None:
            change(token, last_used_at=utc_now() - timedelta(seconds=late))
        assert len(writes(lambda: use_token(plain, HERE))) == written, late
        db.session.expire_all()
        assert token.last_used_at is not None
        age = 0 if written else late
        assert abs(utc_now() - token.last_used_at - timedelta(seconds=age)) < timedelta(seconds=30)


@pytest.mark.parametrize("reason", ["unknown_token", "expired", "inactive"])
def test_a_refused_token_is_an_event_with_its_reason(
    ann: User, app_context: Flask, reason: str
) -> None:
    token, plain = create_token(ann, "deploy")
    if reason == "expired":
        change(token, expires_at=utc_now() - timedelta(seconds=1))
    elif reason == "inactive":
        ann.active = False
        db.session.commit()
    else:
        plain = plain[:-1] + ("A" if plain[-1] != "A" else "B")
    with pytest.raises(BadToken):
        use_token(plain, HERE)
    (event_,) = log_lines(app_context, "token_refused")
    assert (event_["level"], event_["outcome"]) == ("WARNING", "refused")
    assert event_["details"]["reason"] == reason
    known = (ann.email, str(token.id)) if reason != "unknown_token" else (None, None)
    assert (event_.get("account"), event_.get("target_id")) == known
    db.session.expire_all()
    assert token.last_used_at is None


@pytest.mark.parametrize("text", ["", "gh_", "x" * 100_000, "\udc80", "ü\0", "' OR 1=1 --"])
def test_any_text_may_be_shown_as_a_token(app_context: Flask, text: str) -> None:
    with pytest.raises(BadToken):
        use_token(text, None)


@pytest.mark.settings(RATELIMIT_ENABLED=True)
def test_bad_tokens_are_counted_by_address_and_good_ones_never_wait(ann: User) -> None:
    _, plain = create_token(ann, "deploy")
    for _ in range(TOKEN_PER_ADDRESS.rate.amount):
        with pytest.raises(BadToken):
            use_token("guess", HERE)
    with pytest.raises(TooManyAttempts) as refused:
        use_token("guess", HERE)
    assert int(refused.value.headers["Retry-After"]) > 0
    assert use_token(plain, HERE).user.id == ann.id
    with pytest.raises(BadToken):
        use_token("guess", "192.0.2.2")
