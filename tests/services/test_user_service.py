import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, current_app
from sqlalchemy import select, update

from app.extensions import db
from app.models.outbox import OutboxRecord
from app.models.user import ADMIN, USER, User
from app.observability.metrics import login_attempts_total
from app.services import user_service
from app.services.errors import Conflict, Invalid, NotFound
from app.services.throttle import LOGIN_PER_ACCOUNT, LOGIN_PER_ADDRESS, TooManyAttempts
from app.services.user_service import (
    any_user,
    authenticate,
    change_password,
    create_user,
    find_user,
    log_out,
    promote,
    replace_password,
    user_of_session,
)
from tests.helpers import log_lines

MakeApp = Callable[..., Flask]
EMAIL = "ann@example.com"
PASSWORD = "correct horse battery"
NEW = "a whole new password"
limited = pytest.mark.settings(RATELIMIT_ENABLED=True)


@pytest.fixture
def ann(app_context: Flask) -> User:
    return create_user(EMAIL, PASSWORD, name="Ann")


@pytest.fixture
def both(make_app: MakeApp, database_url: str) -> Iterator[Flask]:
    """An app on each database."""
    app = make_app(DATABASE_URL=database_url)
    with app.app_context():
        yield app


def outbox(action: str) -> list[dict[str, Any]]:
    records = [json.loads(row.record) for row in db.session.scalars(select(OutboxRecord))]
    return [record for record in records if record["action"] == action]


def attempts(result: str) -> float:
    return login_attempts_total.labels(result=result)._value.get()


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        call(*args, **kwargs)
    return refused.value.errors


def test_a_new_account_has_a_hash_and_a_record_in_outbox_and_file(both: Flask) -> None:
    user = create_user(" Ann@Example.com ", PASSWORD)

    kept = db.session.get(User, user.id)
    assert kept is not None
    assert (kept.email, kept.name, kept.role, kept.active) == (EMAIL, "ann", USER, True)
    assert PASSWORD not in kept.password_hash
    [record] = outbox("register")
    [line] = log_lines(both, "register")
    assert record["id"] == line["id"]
    assert (line["target_type"], line["target_id"]) == ("user", str(user.id))
    assert (line["account"], line["outcome"]) == (EMAIL, "success")
    assert line["details"] == {"email": EMAIL, "role": USER, "via": "page"}


def test_bad_fields_are_named_together_and_nothing_is_made(app_context: Flask) -> None:
    errors = refusal(create_user, "no address", "short", name="x" * 81)
    assert set(errors) == {"email", "password", "name"}
    assert not any_user()


def test_an_address_that_has_an_account_is_refused(both: Flask) -> None:
    create_user(EMAIL, PASSWORD)
    assert set(refusal(create_user, EMAIL.upper(), NEW)) == {"email"}
    assert len(db.session.scalars(select(User)).all()) == 1
    assert [line["outcome"] for line in log_lines(both, "register")] == ["success", "refused"]


def test_a_login_returns_the_account_and_is_recorded(ann: User, app: Flask) -> None:
    before = attempts("success")

    assert authenticate(" ANN@example.com", PASSWORD, "192.0.2.1").id == ann.id

    assert ann.last_login_at is not None
    [line] = log_lines(app, "login")
    assert (line["user_id"], line["account"], line["outcome"]) == (str(ann.id), EMAIL, "success")
    assert len(outbox("login")) == 1
    assert attempts("success") == before + 1


@pytest.mark.parametrize(
    ("email", "password", "reason"),
    [
        (EMAIL, "a wrong password", "wrong_password"),
        ("nobody@example.com", PASSWORD, "unknown_account"),
        ("an@example.com' OR 1=1 --", PASSWORD, "unknown_account"),
        ("x" * 10_000, PASSWORD, "unknown_account"),
        ("a\0b", PASSWORD, "unknown_account"),
        ("a\ud800b", PASSWORD, "unknown_account"),
        (EMAIL, "a\0b", "wrong_password"),
        ("Tr0ub4dor and 3", "", "unknown_account"),
    ],
)
def test_a_failed_login_is_recorded_with_the_address_if_it_is_one(
    ann: User, app: Flask, email: str, password: str, reason: str
) -> None:
    before = attempts("failure")

    errors = refusal(authenticate, email, password, "192.0.2.1")

    assert errors == {"password": user_service.WRONG_LOGIN}
    [line] = log_lines(app, "login_failed")
    assert line["details"]["reason"] == reason
    assert (line["outcome"], line["level"]) == ("refused", "WARNING")
    is_address = email in {EMAIL, "nobody@example.com"}
    assert line.get("account") == (email if is_address else None)
    assert is_address or email.lower() not in json.dumps(line).lower()
    assert attempts("failure") == before + 1
    assert ann.last_login_at is None


def test_an_inactive_account_cannot_log_in(ann: User, app: Flask) -> None:
    ann.active = False
    db.session.commit()
    assert refusal(authenticate, EMAIL, PASSWORD, None) == {"email": user_service.SWITCHED_OFF}
    assert log_lines(app, "login_failed")[0]["details"]["reason"] == "inactive"


def test_who_does_not_know_the_password_does_not_learn_that_an_account_is_inactive(
    ann: User, app: Flask
) -> None:
    ann.active = False
    db.session.commit()
    errors = refusal(authenticate, EMAIL, "a wrong password", None)
    assert errors == {"password": user_service.WRONG_LOGIN}


@limited
def test_an_account_takes_ten_wrong_passwords_from_all_addresses(ann: User, app: Flask) -> None:
    for number in range(LOGIN_PER_ACCOUNT.rate.amount):
        refusal(authenticate, EMAIL, "a wrong password", f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts):
        authenticate(EMAIL, PASSWORD, "198.51.100.1")
    last = log_lines(app, "login_failed")[-1]
    assert (last["details"]["reason"], last["account"]) == ("rate_limited", EMAIL)


@limited
def test_an_address_takes_fifty_failures_on_all_accounts(
    app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a password costs is another test's matter.
    monkeypatch.setattr(user_service, "password_matches", lambda _hash, _password: False)
    for number in range(LOGIN_PER_ADDRESS.rate.amount):
        refusal(authenticate, f"user{number}@example.com", PASSWORD, "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        authenticate("one-more@example.com", PASSWORD, "192.0.2.1")
    refusal(authenticate, "one-more@example.com", PASSWORD, "192.0.2.2")
    # A blocked address locks nobody out.
    for _ in range(LOGIN_PER_ACCOUNT.rate.amount):
        with pytest.raises(TooManyAttempts):
            authenticate("somebody@example.com", PASSWORD, "192.0.2.1")
    refusal(authenticate, "somebody@example.com", PASSWORD, "192.0.2.2")


@limited
def test_logins_that_succeed_use_up_no_limit(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_service, "password_matches", lambda _hash, _password: True)
    for _ in range(LOGIN_PER_ADDRESS.rate.amount + 5):
        authenticate(EMAIL, PASSWORD, "192.0.2.1")


@limited
def test_a_login_that_succeeds_does_not_forget_the_failures_before(ann: User) -> None:
    for _ in range(LOGIN_PER_ACCOUNT.rate.amount - 1):
        refusal(authenticate, EMAIL, "a wrong password", "192.0.2.1")
    authenticate(EMAIL, PASSWORD, "192.0.2.1")
    refusal(authenticate, EMAIL, "a wrong password", "192.0.2.1")
    with pytest.raises(TooManyAttempts):
        authenticate(EMAIL, PASSWORD, "192.0.2.1")


def change_elsewhere(app: Flask, email: str) -> None:
    """Change a password as another request does."""

    def change() -> None:
        with app.app_context():
            user = find_user(email)
            assert user is not None
            replace_password(user, NEW, via="mail")

    thread = threading.Thread(target=change)
    thread.start()
    thread.join()


def test_a_password_that_changes_while_it_is_checked_opens_no_session(
    both: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_user(EMAIL, PASSWORD)
    real = user_service.password_matches

    def slow(password_hash: str | None, password: str) -> bool:
        matched = real(password_hash, password)
        change_elsewhere(both, EMAIL)
        return matched

    monkeypatch.setattr(user_service, "password_matches", slow)
    assert refusal(authenticate, EMAIL, PASSWORD, None) == {"password": user_service.WRONG_LOGIN}
    assert [line["outcome"] for line in log_lines(both, "login")] == ["refused"]


@pytest.mark.parametrize("begin", ["login", "change"])
def test_a_session_is_of_the_password_that_opened_it(both: Flask, begin: str) -> None:
    user = create_user(EMAIL, PASSWORD)
    if begin == "login":
        user = authenticate(EMAIL, PASSWORD, None)
    else:
        change_password(user, PASSWORD, NEW + " of a thief")
    # After the commit, and before the session is written.
    change_elsewhere(both, EMAIL)
    session_id = user.get_id()
    db.session.rollback()
    assert user_of_session(session_id) is None


def test_an_unknown_account_is_compared_with_a_hash_as_well(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    real = user_service.password_matches

    def spy(password_hash: str | None, password: str) -> bool:
        compared.append(password_hash is None)
        return real(password_hash, password)

    monkeypatch.setattr(user_service, "password_matches", spy)
    refusal(authenticate, "nobody@example.com", PASSWORD, None)
    refusal(authenticate, EMAIL, "a wrong password", None)
    assert compared == [True, False]


def test_a_logout_is_recorded(ann: User, app: Flask) -> None:
    log_out(ann)
    [line] = log_lines(app, "logout")
    assert (line["target_id"], line["outcome"]) == (str(ann.id), "success")
    assert outbox("logout")[0]["id"] == line["id"]


def test_a_changed_password_works_and_ends_all_sessions(both: Flask) -> None:
    user = create_user(EMAIL, PASSWORD)
    session_id = user.get_id()
    assert user_of_session(session_id) is not None
    assert set(refusal(change_password, user, PASSWORD, PASSWORD)) == {"password"}
    assert user_of_session(session_id) is not None

    change_password(user, PASSWORD, NEW)

    assert user_of_session(session_id) is None
    assert user_of_session(user.get_id()) is not None
    assert authenticate(EMAIL, NEW, None).id == user.id
    assert set(refusal(authenticate, EMAIL, PASSWORD, None)) == {"password"}
    [line] = log_lines(both, "password_changed")
    assert (line["target_id"], line["details"]) == (str(user.id), {"via": "page"})


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("a wrong password", NEW, "current"),
        (PASSWORD, "short", "password"),
        (PASSWORD, EMAIL, "password"),
        (PASSWORD, "x" * 129, "password"),
        (PASSWORD, "with\0a NUL inside", "password"),
    ],
)
def test_a_bad_change_names_its_field_and_changes_nothing(
    ann: User, current: str, new: str, field: str
) -> None:
    before = (ann.password_hash, ann.session_version)
    assert set(refusal(change_password, ann, current, new)) == {field}
    db.session.refresh(ann)
    assert (ann.password_hash, ann.session_version) == before


@limited
def test_an_open_session_is_no_place_to_guess_the_password(ann: User) -> None:
    for _ in range(LOGIN_PER_ACCOUNT.rate.amount):
        refusal(change_password, ann, "a wrong password", NEW)
    with pytest.raises(TooManyAttempts):
        change_password(ann, PASSWORD, NEW)


def test_of_two_changes_at_once_one_is_refused(both: Flask) -> None:
    user_id = create_user(EMAIL, PASSWORD).id
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    both_have_read = threading.Barrier(2, timeout=30)
    outcomes: list[str] = []

    def change(new: str) -> None:
        with app.app_context():
            user = db.session.get(User, user_id)
            assert user is not None
            # Loaded before the other's commit, as two requests at once do.
            assert user.session_version == 1
            db.session.expunge(user)
            db.session.rollback()
            both_have_read.wait()
            try:
                replace_password(user, new, via="page")
                outcomes.append("changed")
            except Conflict:
                outcomes.append("refused")

    threads = [threading.Thread(target=change, args=(f"{NEW} {n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["changed", "refused"]
    db.session.rollback()
    assert db.session.get(User, user_id, populate_existing=True).session_version == 2


def test_an_account_that_was_switched_off_meanwhile_gets_no_new_password(ann: User) -> None:
    assert ann.active
    db.session.execute(
        update(User).values(active=False), execution_options={"synchronize_session": False}
    )
    with pytest.raises(Conflict):
        replace_password(ann, NEW, via="page")


def test_a_promoted_account_is_an_administrator_and_it_is_recorded_once(
    ann: User, app: Flask
) -> None:
    assert [promote("ANN@example.com"), promote(EMAIL)] == [True, False]
    assert ann.role == ADMIN
    [line] = log_lines(app, "role_changed")
    assert (line["target_id"], line["details"]) == (str(ann.id), {"role": ADMIN})


def test_promoting_nobody_is_refused(app_context: Flask) -> None:
    with pytest.raises(NotFound) as refused:
        promote("nobody@example.com")
    assert set(refused.value.errors) == {"email"}


def test_accounts_are_found_by_address_in_any_case(ann: User) -> None:
    found = find_user(" ANN@EXAMPLE.com ")
    assert found is not None
    assert found.id == ann.id


@pytest.mark.parametrize("email", ["", "x" * 9_000, "a\0b", "a\ud800b"])
def test_a_text_that_a_database_refuses_is_nobodys_address(both: Flask, email: str) -> None:
    assert find_user(email) is None


def test_any_user_tells_whether_there_is_one(app_context: Flask) -> None:
    assert not any_user()
    create_user(EMAIL, PASSWORD)
    assert any_user()


@pytest.mark.parametrize(
    "session_id", ["", "1", ":", "1:", ":1", "x:1", "1:x", "1:2", "99:1", "-1:1"]
)
def test_a_session_of_another_account_or_version_is_nobody(ann: User, session_id: str) -> None:
    assert user_of_session(session_id) is None


def test_the_sessions_of_an_account_that_is_switched_off_end(ann: User) -> None:
    session_id = ann.get_id()
    assert user_of_session(session_id) is not None
    ann.active = False
    db.session.commit()
    assert user_of_session(session_id) is None
