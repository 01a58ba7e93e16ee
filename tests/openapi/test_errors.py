from flask import Flask
from sqlalchemy import text

from app.extensions import db
from app.models.error_state import ErrorState
from app.models.types import utc_now
from app.openapi.errors import PATHS
from app.services.error_groups import SHOWN, WINDOWS
from tests.helpers import bearer_of
from tests.log_records import failed_request, put
from tests.openapi.checking import Checked

LIST, ONE = "/api/logs/errors", "/api/logs/errors/a1b2c3d4"
DONE = f"{ONE}/resolution"
# Two who resolve at once, a flood, a database that is gone: nothing of these addresses.
RARE = {("PUT", f"{LIST}/{{fingerprint}}/resolution", "409"),
        ("DELETE", f"{LIST}/{{fingerprint}}/resolution", "503")}  # fmt: skip


def test_the_choices_are_those_that_there_are() -> None:
    window, state = PATHS[LIST]["get"]["parameters"]
    assert window["schema"]["enum"] == list(WINDOWS)
    assert state["schema"]["enum"] == list(SHOWN)


def test_real_answers_are_as_described_and_all_that_is_described_happens(app: Flask) -> None:
    admin, user = bearer_of(app, "ann@example.com", "admin"), bearer_of(app, "bob@example.com")
    api = Checked(app)
    put(app, *(one for number in range(21) for one in failed_request(f"r-{number}")))
    assert len(api.ask("GET", LIST, 200, headers=admin).json["errors"]) == 1
    older = api.ask("GET", ONE, 200, headers=admin).json["next"]
    assert api.ask("GET", f"{ONE}?before={older}", 200, headers=admin).json["next"] is None
    with app.app_context():
        resolved = ErrorState(fingerprint="a1b2c3d4", resolved_at=utc_now(), resolved_by="a@b")
        db.session.add(resolved)
        db.session.commit()
    api.ask("GET", f"{LIST}?state=all", 200, headers=admin)
    api.ask("GET", f"{LIST}/none", 404, headers=admin)
    for path in (LIST, ONE):
        api.ask("GET", f"{path}?window=2h", 400, headers=admin)
        api.ask("GET", path, 401)
        api.ask("GET", path, 403, headers=user)
    app.config["WTF_CSRF_ENABLED"] = True
    for method in ("PUT", "DELETE"):
        api.ask(method, f"{LIST}/none/resolution", 404, headers=admin)
        api.ask(method, DONE, 401, headers={"Authorization": "Bearer gh_made-up"})
        api.ask(method, DONE, 403, headers=user)
        api.ask(method, DONE, 204, headers=admin)
    # A session's change needs its CSRF token.
    with api._client.session_transaction() as session:
        session["_user_id"] = "1:1"
    for method in ("PUT", "DELETE"):
        api.ask(method, DONE, 400)
    api.ask("DELETE", DONE, 404, headers=admin)
    with app.app_context(), db.engines["logs"].begin() as connection:
        connection.execute(text("DROP TABLE logs"))
    for path in (LIST, ONE):
        api.ask("GET", path, 503, headers=admin)
    api.ask("PUT", DONE, 503, headers=admin)
    assert {one for one in api.described(*PATHS) if one[2] != "429"} - RARE == api.seen
