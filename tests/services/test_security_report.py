from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.services.errors import BadRequest
from app.services.security_report import GUESSES, MANY, SAMPLE, report
from tests.log_records import made, put


def login(account: str | None, address: str, back: float, *, failed: bool = True) -> dict[str, Any]:
    fields = {"account": account, "remote_addr": address, "ago": timedelta(minutes=back)}
    if not failed:
        return made("login", action="login", **fields)
    return made("login failed", level="WARNING", action="login_failed",
                details={"reason": "wrong_password"}, **fields)  # fmt: skip


def test_guessing_is_told_from_a_forgotten_password(app_context: Flask) -> None:
    guessed = [login("bob@b.c", f"10.0.0.{n % 7}", 50 - n) for n in range(GUESSES)]
    put(
        app_context,
        *guessed, login("bob@b.c", "10.0.0.1", 5, failed=False),
        *(login(f"p{n}@b.c", "10.9.9.9", 30) for n in range(MANY)),
        login("ann@b.c", "10.1.1.1", 9), login("ann@b.c", "10.1.1.1", 8, failed=False),
        login(None, "10.1.1.1", 7), login("old@b.c", "10.1.1.1", 90),
    )  # fmt: skip
    found = report("1h")
    accounts = {one.name: one for one in found.by_account}
    bob, ann = accounts["bob@b.c"], accounts["ann@b.c"]
    assert (bob.failures, bob.others, bob.is_spread) == (GUESSES, 7, True)
    assert bob.reasons == [("wrong_password", GUESSES)]
    assert bob.guessed_at is not None
    assert bob.guessed_at > bob.last_seen
    assert (ann.failures, ann.guessed_at, ann.is_suspicious) == (1, None, False)
    assert found.by_account[0] is bob
    assert None in accounts
    assert "old@b.c" not in accounts
    addresses = {one.name: one for one in found.by_address}
    assert (addresses["10.9.9.9"].others, addresses["10.9.9.9"].is_spread) == (MANY, True)
    assert (addresses["10.1.1.1"].failures, addresses["10.1.1.1"].is_suspicious) == (2, False)


@pytest.mark.parametrize(
    ("logins", "address"), [(SAMPLE + 1, "10.2.2.2"), (SAMPLE + 1, "10.0.0.1"), (1, "10.0.0.1")]
)
def test_a_guess_is_found_behind_many_logins_of_others_or_it_is_said(
    app_context: Flask, logins: int, address: str
) -> None:
    put(
        app_context,
        *(login("bob@b.c", "10.0.0.1", 50 - n) for n in range(GUESSES)),
        login("bob@b.c", "10.0.0.1", 30, failed=False),
        *(login("ann@b.c", address, 20, failed=False) for _ in range(logins)),
    )
    found = report("1h")
    told_of_all = address != "10.0.0.1" or logins <= SAMPLE
    assert (found.logins_since is None) == told_of_all
    for one in (*found.by_account, *found.by_address):
        assert one.guessed_at is not None


def test_a_login_between_the_failures_begins_the_row_anew(app_context: Flask) -> None:
    half = GUESSES // 2
    put(
        app_context,
        *(login("bob@b.c", "10.0.0.1", 50 - n) for n in range(half)),
        login("bob@b.c", "10.0.0.1", 40, failed=False),
        *(login("bob@b.c", "10.0.0.1", 30 - n) for n in range(half)),
        login("bob@b.c", "10.0.0.1", 20, failed=False),
    )
    assert [one.guessed_at for one in report("1h").by_account] == [None]


def test_what_was_refused_read_and_changed_is_counted(app_context: Flask) -> None:
    def asked(status: int, **fields: Any) -> dict[str, Any]:
        return made("request", action="request", status=status, remote_addr="10.0.0.1", **fields)

    put(
        app_context,
        *(asked(status, account="u@b.c", route="/admin") for status in (403, 403, 404, 200, 422)),
        asked(429, route="/auth/login"), asked(401, route="/api/items"),
        made("x", action="logs_viewed", account="a@b.c"),
        *(made("x", action="logs_exported", account="a@b.c") for _ in range(2)),
        made("x", action="role_changed", target_id="7"), made("x", action="item_create"),
    )  # fmt: skip
    found = report("24h")
    assert found.refused[0].values == (403, "u@b.c", "10.0.0.1", "/admin")
    assert [(one.values[0], one.count) for one in found.refused] == [(403, 2), (401, 1), (429, 1)]
    assert [(one.values, one.count) for one in found.readers] == [
        (("a@b.c", "logs_exported"), 2), (("a@b.c", "logs_viewed"), 1),
    ]  # fmt: skip
    assert [one["action"] for one in found.changes.records] == ["role_changed"]
    assert (found.refused_since, found.failed.since) == (None, None)


def test_it_says_since_when_it_tells_all(app_context: Flask) -> None:
    put(app_context, *(login("bob@b.c", "10.0.0.1", 50) for _ in range(SAMPLE + 1)))
    found = report("24h")
    assert found.by_account[0].failures == SAMPLE
    assert found.failed.since is not None
    with pytest.raises(BadRequest):
        report("2h")
