from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from app.extensions import db
from app.models.user import User
from app.services.error_groups import LISTED, SAMPLE, WINDOWS, get_error, list_errors, resolve
from app.services.errors import BadRequest, NotFound
from tests.helpers import Account, log_lines
from tests.log_records import made, put


def failed(fingerprint: str = "f1", ago: timedelta = timedelta(0), **fields: Any) -> dict[str, Any]:
    exception = {"type": "KeyError", "traceback": "t", "fingerprint": fingerprint}
    return made("KeyError", ago=ago, level="ERROR", action="error", exception=exception, **fields)


def states(shown: str = "all", window: str = "24h") -> dict[str, str]:
    return {one.fingerprint: one.state for one in list_errors(window, shown).errors}


def test_an_error_is_open_until_resolved_and_again_when_it_returns(
    app_context: Flask, admin: Account
) -> None:
    put(app_context, failed("f1", timedelta(minutes=5)), failed("f2", timedelta(minutes=4)))
    resolve("f1", db.session.get(User, admin.id), "1.2")
    assert states() == {"f1": "resolved", "f2": "open"}
    assert (states("open"), states("resolved")) == ({"f2": "open"}, {"f1": "resolved"})
    # What happened before and comes late is no return.
    put(app_context, failed("f1", timedelta(minutes=1)))
    assert states("resolved") == {"f1": "resolved"}
    put(app_context, failed("f1"))
    assert states("open") == {"f1": "reopened", "f2": "open"}
    resolution = get_error("f1").kind.resolution
    assert resolution is not None
    assert (resolution.resolved_by, resolution.release) == (admin.email, "1.2")
    resolve("f1", db.session.get(User, admin.id), None)
    assert states("resolved") == {"f1": "resolved"}
    event = log_lines(app_context, "error_resolved")[0]
    assert (event["target_type"], event["target_id"], event["outcome"]) == (
        "error", "f1", "success",
    )  # fmt: skip


def test_an_open_error_behind_many_resolved_ones_is_listed(
    app_context: Flask, admin: Account
) -> None:
    put(app_context, failed("open", ago=timedelta(minutes=30)))
    put(app_context, *(failed(f"f{number}") for number in range(LISTED + 1)))
    user = db.session.get_one(User, admin.id)
    for number in range(LISTED + 1):
        resolve(f"f{number}", user, None)
    assert states("open") == {"open": "open"}


def test_a_window_has_what_happened_in_it(app_context: Flask) -> None:
    put(app_context, *(
        failed(f"f{hours}", timedelta(hours=hours), user_id=str(hours)) for hours in (0, 5, 90, 500)
    ))  # fmt: skip
    assert [len(states(window=window)) for window in WINDOWS] == [1, 2, 3, 4]
    found = list_errors("24h")
    assert [one.fingerprint for one in found.errors] == ["f0", "f5"]
    assert len(found.starts) in {24, 25}
    assert sum(found.errors[1].group.counts) == found.errors[1].group.users == 1


def test_first_seen_is_told_to_the_day_when_its_records_are_gone(app_context: Flask) -> None:
    old, new = failed(ago=timedelta(days=3)), failed(ago=timedelta(minutes=1))
    put(app_context, old, new)
    kind = get_error("f1").kind
    assert kind.first_is_kept
    assert abs(kind.first_seen - datetime.fromisoformat(old["timestamp"])) < timedelta(seconds=1)
    app_context.extensions["log_store"].purge("error", [old["id"]])
    kind = get_error("f1").kind
    assert not kind.first_is_kept
    assert kind.first_seen.date() == (datetime.now(UTC) - timedelta(days=3)).date()


def test_one_error_tells_whom_and_where_it_hits(app_context: Flask) -> None:
    fields = {"route": "/x", "release": "2"}
    put(app_context, *(failed(account=f"{min(n // 9, 1)}@b.c", host=f"h{n % 2}", **fields)
                       for n in range(25)), failed(user_id="7"), failed("f2"))  # fmt: skip
    story = get_error("f1", "1h")
    assert story.hits == {
        "users": [("1@b.c", 16), ("0@b.c", 9), ("7", 1)],
        "routes": [("/x", 25)], "hosts": [("h0", 13), ("h1", 12)], "releases": [("2", 25)],
    }  # fmt: skip
    assert story.sampled == 26 < SAMPLE
    assert story.record["exception"]["traceback"] == "t"
    second = get_error("f1", "1h", story.occurrences.next)
    assert (len(story.occurrences.records), len(second.occurrences.records)) == (20, 6)


def test_what_is_not_there_or_not_known_is_refused(app_context: Flask, admin: Account) -> None:
    with pytest.raises(NotFound):
        get_error("f1")
    with pytest.raises(NotFound):
        resolve("f1", db.session.get(User, admin.id), None)
    with pytest.raises(BadRequest):
        list_errors("2h")
    with pytest.raises(BadRequest):
        list_errors("1h", "closed")
