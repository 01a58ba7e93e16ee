import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.blueprints.auth.routes import bp
from app.services.throttle import LOGIN_PER_ACCOUNT
from tests.blueprints.auth.pages import (
    HOME,
    REGISTRATION,
    MakeApp,
    change,
    is_logged_in,
    limited,
    page_of,
)
from tests.helpers import SECRET_KEY, Account, log_lines, login

# Pages


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/auth/login", {"email", "password", "keep"}),
        ("/auth/register", {"email", "name", "password", "repeat"}),
        ("/auth/forgot", {"email"}),
    ],
)
@pytest.mark.settings(WTF_CSRF_ENABLED=True, SMTP_HOST="127.0.0.1")
def test_each_field_of_a_page_has_a_label_and_the_form_a_token(
    client: FlaskClient, path: str, fields: set[str]
) -> None:
    answer = client.get(path)
    page = page_of(answer)
    assert answer.status_code == 200
    assert set(page.inputs) >= fields | {"csrf_token"}
    assert {page.inputs[name]["id"] for name in fields} <= page.labels


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/auth/forgot"])
@pytest.mark.settings(SMTP_HOST="127.0.0.1")
def test_a_form_that_comes_back_empty_names_each_field(client: FlaskClient, path: str) -> None:
    answer = client.post(path)
    page = page_of(answer)
    assert answer.status_code == 422
    assert page.title.startswith("Error: ")
    assert page.notices == ["Please check the marked fields."]
    for name in {"email", "name", "password", "repeat"} & set(page.inputs):
        assert page.problem(name)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/auth/forgot"])
@pytest.mark.parametrize("bad", ["a\0b@example.com", "a\x1b@example.com", "x" * 5000])
@pytest.mark.settings(SMTP_HOST="127.0.0.1")
def test_control_characters_and_huge_inputs_are_a_problem_of_their_field(
    client: FlaskClient, path: str, bad: str
) -> None:
    answer = client.post(path, data={**REGISTRATION, "email": bad})
    assert answer.status_code == 422
    assert page_of(answer).problem("email")


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/auth/forgot"])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"email": 5, "password": []}', "application/json"),
        ("[1, 2]", "application/json"),
        ("not json", "application/json"),
        (b"\xff\xfe=\xff", "application/x-www-form-urlencoded"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"email=a", "text/plain"),
    ],
)
@pytest.mark.settings(SMTP_HOST="127.0.0.1")
def test_a_body_that_is_no_form_is_a_clear_refusal(
    client: FlaskClient, path: str, body: str | bytes, content_type: str
) -> None:
    answer = client.post(path, data=body, content_type=content_type)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register", "/auth/logout", "/auth/forgot"])
@pytest.mark.settings(WTF_CSRF_ENABLED=True)
def test_a_post_without_a_csrf_token_is_refused(
    client: FlaskClient, app: Flask, user: Account, path: str
) -> None:
    data = {**REGISTRATION, "email": user.email}
    assert client.post(path, data=data).status_code == 400
    assert log_lines(app, "login") == []


def test_all_pages_live_under_one_prefix() -> None:
    assert bp.url_prefix == "/auth"


# Logging in


def test_a_login_begins_a_session_and_goes_home(client: FlaskClient, user: Account) -> None:
    answer = client.post("/auth/login", data={"email": user.email, "password": user.password})
    assert (answer.status_code, answer.location) == (302, HOME)
    assert is_logged_in(client)


def test_a_wrong_login_says_the_same_for_known_and_unknown(
    client: FlaskClient, user: Account
) -> None:
    answers = [
        client.post("/auth/login", data={"email": email, "password": "a wrong password"})
        for email in (user.email, "nobody@example.com")
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    known, unknown = map(page_of, answers)
    assert known.problem("password") == unknown.problem("password")
    assert known.inputs["email"]["value"] == user.email
    assert not known.inputs["password"].get("value")
    assert not is_logged_in(client)


def test_an_inactive_account_is_told_so(client: FlaskClient, app: Flask, user: Account) -> None:
    change(app, user, active=False)
    answer = client.post("/auth/login", data={"email": user.email, "password": user.password})
    assert answer.status_code == 422
    assert "switched off" in page_of(answer).problem("email")


def test_a_login_leads_back_to_where_it_was_asked_for(client: FlaskClient, user: Account) -> None:
    to_login = client.get("/auth/password").location
    answer = client.post(to_login, data={"email": user.email, "password": user.password})
    assert answer.location == "/auth/password"


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https:evil.example", "javascript:alert(1)"]
)
def test_a_login_never_leads_to_another_site(
    client: FlaskClient, user: Account, target: str
) -> None:
    data = {"email": user.email, "password": user.password}
    for answer in (
        client.post("/auth/login", query_string={"next": target}, data=data),
        client.get("/auth/login", query_string={"next": target}),
    ):
        assert (answer.status_code, answer.location) == (302, HOME)


def test_a_login_keeps_nothing_of_the_session_before(client: FlaskClient, user: Account) -> None:
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
        session["_user_id"] = "999:1"
    login(client, user)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session["_user_id"] == f"{user.id}:1"


@pytest.mark.parametrize(("data", "kept"), [({}, False), ({"keep": "y"}, True)])
def test_a_session_outlives_the_browser_only_on_demand(
    client: FlaskClient, user: Account, data: dict[str, str], kept: bool
) -> None:
    data = {"email": user.email, "password": user.password, **data}
    client.post("/auth/login", data=data)
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert (cookie.expires is not None) is kept


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
def test_who_is_logged_in_is_sent_home(client: FlaskClient, user: Account, path: str) -> None:
    login(client, user)
    assert client.get(path).location == HOME


def test_cookies_are_safe_in_production(make_app: MakeApp) -> None:
    app = make_app(APP_ENV="production", SECRET_KEY=SECRET_KEY * 2, RATELIMIT_ENABLED=False)
    client = app.test_client()
    client.post("/auth/register", data=REGISTRATION, base_url="https://localhost")
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert (cookie.secure, cookie.http_only, cookie.same_site) == (True, True, "Lax")


@limited
def test_too_many_wrong_logins_are_told_when_to_come_back(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    data = {"email": user.email, "password": "a wrong password"}
    limit = LOGIN_PER_ACCOUNT.rate.amount
    statuses = [client.post("/auth/login", data=data).status_code for _ in range(limit)]
    assert statuses == [422] * limit

    answer = client.post("/auth/login", data={**data, "password": user.password})

    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert log_lines(app, "login_failed")[-1]["details"]["reason"] == "rate_limited"
    assert not is_logged_in(client)


def test_a_login_in_the_file_names_the_account_in_all_its_records(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    [event] = log_lines(app, "login")
    request = log_lines(app, "request")[-1]
    assert event["request_id"] == request["request_id"]
    for record in (event, request):
        assert (record["user_id"], record["account"]) == (str(user.id), user.email)
    for line in log_lines(app):
        assert user.password not in str(line)


# Logging out


def test_a_logout_ends_the_session_and_is_recorded(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    assert client.post("/auth/logout").location == "/auth/login"
    assert not is_logged_in(client)
    [line] = log_lines(app, "logout")
    assert (line["user_id"], line["account"]) == (str(user.id), user.email)


def test_a_link_cannot_log_anybody_out(client: FlaskClient, user: Account) -> None:
    login(client, user)
    assert client.get("/auth/logout").status_code == 405
    assert is_logged_in(client)
