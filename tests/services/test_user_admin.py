import threading
from collections.abc import Callable

import pytest
from flask import Flask

from app.extensions import db
from app.models.user import ADMIN, USER, User
from app.services.errors import Conflict, Invalid, NotFound
from app.services.user_admin import (
    PAGE_SIZE,
    change_role,
    end_sessions,
    get_user,
    list_users,
    switch_off,
    switch_on,
)
from app.services.user_service import create_user, user_of_session
from tests.helpers import log_lines

PASSWORD = "correct horse battery"


@pytest.fixture
def boss(app_context: Flask) -> User:
    return create_user("boss@example.com", PASSWORD, name="Boss", role=ADMIN)


@pytest.fixture
def ann(app_context: Flask) -> User:
    return create_user("ann@example.com", PASSWORD, name="Änn O'Hara")


def add(count: int) -> None:
    db.session.add_all(
        User(email=f"u{number}@example.com", name=f"U {number}", password_hash="none")
        for number in range(count)
    )
    db.session.commit()


def test_pages_hold_every_account_once_newest_first(app_context: Flask) -> None:
    add(PAGE_SIZE + 3)
    first = list_users()
    second = list_users(before=first.next)
    ids = [user.id for user in first.users + second.users]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == PAGE_SIZE + 3
    assert second.next is None


@pytest.mark.parametrize(
    ("search", "found"),
    [("ANN", True), ("o'hara", True), ("example.com", True), ("%", False), ("_nn", False)],
)
def test_a_search_looks_in_names_and_addresses(ann: User, search: str, found: bool) -> None:
    assert (ann in list_users(search).users) is found


@pytest.mark.parametrize("search", ["x" * 201, "a\0b"])
def test_a_search_that_no_account_can_fit_is_refused(app_context: Flask, search: str) -> None:
    with pytest.raises(Invalid):
        list_users(search)


def test_a_role_counts_from_the_next_request_on(boss: User, ann: User) -> None:
    session = ann.get_id()
    change_role(boss, ann.id, ADMIN)
    found = user_of_session(session)
    assert found is not None
    assert found.is_admin
    change_role(boss, ann.id, USER)
    assert not get_user(ann.id).is_admin
    with pytest.raises(Invalid):
        change_role(boss, ann.id, "owner")


def test_a_switched_off_account_has_no_session_left_and_gets_none_back(
    boss: User, ann: User
) -> None:
    session = ann.get_id()
    switch_off(boss, ann.id)
    assert user_of_session(session) is None
    switch_on(boss, ann.id)
    assert user_of_session(session) is None
    assert user_of_session(get_user(ann.id).get_id()) is not None


def test_ending_sessions_leaves_the_account_as_it_is(boss: User, ann: User) -> None:
    session = ann.get_id()
    end_sessions(ann.id)
    assert user_of_session(session) is None
    assert get_user(ann.id).active


@pytest.mark.parametrize("change", [
    lambda boss: change_role(boss, boss.id, USER), lambda boss: switch_off(boss, boss.id),
    lambda boss: switch_on(boss, boss.id),
])  # fmt: skip
def test_nobody_changes_his_own_rights(boss: User, change: Callable[[User], None]) -> None:
    with pytest.raises(Conflict):
        change(boss)
    assert get_user(boss.id).is_admin


def test_an_account_that_is_not_there_is_not_found(boss: User) -> None:
    for change in (lambda: switch_off(boss, 999), lambda: end_sessions(999), lambda: get_user(999)):
        with pytest.raises(NotFound):
            change()  # type: ignore[no-untyped-call]


def test_each_change_is_recorded(app: Flask, boss: User, ann: User) -> None:
    switch_off(boss, ann.id)
    switch_on(boss, ann.id)
    end_sessions(ann.id)
    for action in ("account_disabled", "account_enabled", "sessions_ended"):
        [line] = log_lines(app, action)
        assert (line["target_id"], line["outcome"]) == (str(ann.id), "success")


def test_of_two_who_demote_each_other_one_stays(
    make_app: Callable[..., Flask], database_url: str
) -> None:
    app = make_app(DATABASE_URL=database_url)
    with app.app_context():
        ids = [
            create_user(f"{name}@example.com", PASSWORD, role=ADMIN).id for name in ("one", "two")
        ]
    ready = threading.Barrier(2)
    refused = []

    def demote(mine: int, other: int) -> None:
        with app.app_context():
            me = get_user(mine)
            ready.wait()
            try:
                change_role(me, other, USER)
            except Conflict as error:
                refused.append(error)

    both = [threading.Thread(target=demote, args=pair) for pair in (ids, ids[::-1])]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    with app.app_context():
        assert sorted(get_user(one).role for one in ids) == [ADMIN, USER]
    assert len(refused) == 1
