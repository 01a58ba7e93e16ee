import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.admin.users import users
from app.services.user_service import find_user
from tests.blueprints.admin.pages import facts, page
from tests.helpers import Account, bearer_of, log_lines, login


def test_an_account_is_found_and_shown(
    app: Flask, as_admin: FlaskClient, user: Account, other_user: Account
) -> None:
    assert app.view_functions["admin.users"] is users
    found = page(as_admin, "/admin/users?q=USER@").one("tbody").every("tr")
    assert len(found) == 1
    shown = page(as_admin, found[0].one("a")["href"])
    assert shown.one("h1").text == user.email
    assert facts(shown, "facts-list")["State"] == "Active"


def test_a_switched_off_user_is_out_at_once(
    app: Flask, as_admin: FlaskClient, user: Account
) -> None:
    theirs = app.test_client()
    login(theirs, user)
    assert theirs.get("/items/new").status_code == 200
    shown = page(as_admin, f"/admin/users/{user.id}")
    [form] = [one for one in shown.every("form") if one["action"].endswith("/switch-off")]
    answer = as_admin.post(form["action"], follow_redirects=True)
    assert "Switched off" in answer.get_data(as_text=True)
    assert theirs.get("/items/new").status_code == 302
    as_admin.post(f"/admin/users/{user.id}/switch-on")
    login(theirs, user)


@pytest.mark.parametrize("way", ["end-sessions", "switch-off"])
def test_ended_sessions_have_to_log_in_again(
    app: Flask, as_admin: FlaskClient, user: Account, way: str
) -> None:
    theirs = app.test_client()
    login(theirs, user)
    as_admin.post(f"/admin/users/{user.id}/{way}")
    assert theirs.get("/items/new").status_code == 302


def test_ended_sessions_leave_api_tokens_and_a_button_ends_them(
    app: Flask, client: FlaskClient, as_admin: FlaskClient
) -> None:
    token = bearer_of(app, "eve@example.com")
    with app.app_context():
        user_id = find_user("eve@example.com").id  # type: ignore[union-attr]
    one = f"/admin/users/{user_id}"
    assert facts(page(as_admin, one), "facts-list")["API tokens"] == "1, never used"
    as_admin.post(f"{one}/end-sessions")
    assert app.test_client().get("/api/items", headers=token).status_code == 200
    assert "1, last used" in facts(page(as_admin, one), "facts-list")["API tokens"]
    as_admin.post(f"{one}/revoke-tokens")
    assert app.test_client().get("/api/items", headers=token).status_code == 401
    found = page(as_admin, one)
    assert facts(found, "facts-list")["API tokens"] == "0"
    assert not [form for form in found.every("form") if "revoke" in form["action"]]
    (record,) = log_lines(app, "tokens_revoked")
    assert (record["target_id"], record["details"]["count"]) == (str(user_id), 1)


def test_a_new_administrator_may_look_at_once(
    app: Flask, as_admin: FlaskClient, user: Account
) -> None:
    theirs = app.test_client()
    login(theirs, user)
    as_admin.post(f"/admin/users/{user.id}/role", data={"role": "admin"})
    assert theirs.get("/admin/users").status_code == 200
    as_admin.post(f"/admin/users/{user.id}/role", data={"role": "user"})
    assert theirs.get("/admin/users").status_code == 403


@pytest.mark.parametrize(
    ("address", "data", "said"),
    [("role", {"role": "user"}, "another administrator"), ("switch-off", {}, "another admin")],
)
def test_one_s_own_account_keeps_its_rights(
    as_admin: FlaskClient, admin: Account, address: str, data: dict[str, str], said: str
) -> None:
    answer = as_admin.post(f"/admin/users/{admin.id}/{address}", data=data, follow_redirects=True)
    assert said in answer.get_data(as_text=True)
    assert as_admin.get("/admin/users").status_code == 200


def test_a_role_that_is_none_changes_nothing(as_admin: FlaskClient, user: Account) -> None:
    answer = as_admin.post(f"/admin/users/{user.id}/role", follow_redirects=True)
    assert "Use user or admin." in answer.get_data(as_text=True)


@pytest.mark.parametrize("query", ["q=%00", "before=x", "before=-1"])
def test_a_damaged_address_is_a_400_that_says_so(as_admin: FlaskClient, query: str) -> None:
    assert page(as_admin, f"/admin/users?{query}", 400).every("p", class_="invalid-feedback")


def test_nobody_found_is_explained(as_admin: FlaskClient) -> None:
    assert page(as_admin, "/admin/users?q=zebra").one("div", class_="empty").one("h2").text
    for number in ("999", "9" * 20):
        assert as_admin.get(f"/admin/users/{number}").status_code == 404
        assert as_admin.post(f"/admin/users/{number}/end-sessions").status_code == 404
        assert as_admin.post(f"/admin/users/{number}/switch-off").status_code == 404
