import http.cookiejar
import re
import threading
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, build_opener

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.blueprints.auth.routes import MAIL_SENT, TOKEN_KEY, bp
from app.extensions import db
from app.models.user import User
from app.services.password_reset import make_token
from app.services.throttle import LOGIN_PER_ACCOUNT, REGISTER_PER_ADDRESS
from tests.helpers import PASSWORD, SECRET_KEY, Account, Server, log_lines, login, wait_for

MakeApp = Callable[..., Flask]
NEW = "a whole new password"
HOME = "/items"
REGISTRATION = {
    "email": "ann@example.com",
    "name": "Ann",
    "password": PASSWORD,
    "repeat": PASSWORD,
}
limited = pytest.mark.settings(RATELIMIT_ENABLED=True)


class Page(HTMLParser):
    """Read a page: its inputs by name, its texts by id, its title and its notices."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inputs: dict[str, dict[str, str | None]] = {}
        self.texts: dict[str, str] = {}
        self.labels: set[str | None] = set()
        self.title = ""
        self.notices: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "input":
            self.inputs[attributes.get("name") or ""] = attributes
        elif tag not in {"meta", "link", "img", "br"}:
            self._open.append((tag, attributes))
            if tag == "label":
                self.labels.add(attributes.get("for"))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            continue

    def handle_data(self, data: str) -> None:
        for tag, attributes in self._open:
            if attributes.get("id"):
                name = attributes["id"] or ""
                self.texts[name] = self.texts.get(name, "") + data.strip()
            if tag == "title":
                self.title += data
            if "alert" in (attributes.get("class") or "").split() and data.strip():
                self.notices.append(data.strip())

    def problem(self, name: str) -> str:
        """Return the error that the field's control points at."""
        field = self.inputs[name]
        assert field["aria-invalid"] == "true"
        pointed_at = (field["aria-describedby"] or "").split()
        return next(self.texts[one] for one in pointed_at if one.endswith("-error"))


def page_of(answer: TestResponse) -> Page:
    return Page(answer.get_data(as_text=True))


def is_logged_in(client: FlaskClient) -> bool:
    return client.get("/auth/password").status_code == 200


def account(app: Flask, user: Account) -> User:
    found = db.session.get(User, user.id)
    assert found is not None
    return found


def change(app: Flask, user: Account, **fields: Any) -> None:
    with app.app_context():
        for name, value in fields.items():
            setattr(account(app, user), name, value)
        db.session.commit()


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


# Registering


def test_who_registers_has_an_account_and_is_logged_in(client: FlaskClient, app: Flask) -> None:
    answer = client.post("/auth/register", data=REGISTRATION)
    assert (answer.status_code, answer.location) == (302, HOME)
    assert is_logged_in(client)
    assert [line["action"] for line in log_lines(app) if line.get("target_type") == "user"] == [
        "register",
        "login",
    ]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("email", "no address"),
        ("email", "ä@example.com"),
        ("name", "x" * 81),
        ("password", "short"),
        ("password", "ann@example.com"),
        ("password", "x" * 129),
    ],
)
def test_a_bad_registration_names_its_field_and_makes_nothing(
    client: FlaskClient, app: Flask, field: str, bad: str
) -> None:
    data = {**REGISTRATION, field: bad}
    data["repeat"] = data["password"]
    answer = client.post("/auth/register", data=data)
    assert answer.status_code == 422
    assert page_of(answer).problem(field)
    with app.app_context():
        assert db.session.query(User).count() == 0


def test_an_address_that_has_an_account_is_a_problem_of_its_field(
    client: FlaskClient, user: Account
) -> None:
    answer = client.post("/auth/register", data={**REGISTRATION, "email": user.email.upper()})
    assert answer.status_code == 422
    assert page_of(answer).problem("email") == "This e-mail address has an account."


def test_a_role_cannot_be_had_by_asking(client: FlaskClient, app: Flask) -> None:
    client.post("/auth/register", data={**REGISTRATION, "role": "admin", "active": "1"})
    with app.app_context():
        assert db.session.query(User).one().role == "user"


@limited
def test_one_address_cannot_make_accounts_without_end(app: Flask) -> None:
    data = {**REGISTRATION, "email": "no address"}
    statuses = Counter(
        app.test_client().post("/auth/register", data=data).status_code
        for _ in range(REGISTER_PER_ADDRESS.rate.amount + 2)
    )
    assert statuses == {422: REGISTER_PER_ADDRESS.rate.amount, 429: 2}


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


# Changing the password


def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    elsewhere = app.test_client()
    login(elsewhere, user)
    login(client, user)

    answer = client.post(
        "/auth/password", data={"current": user.password, "password": NEW, "repeat": NEW}
    )

    assert (answer.status_code, answer.location) == (302, "/account")
    assert is_logged_in(client)
    assert not is_logged_in(elsewhere)
    login(elsewhere, Account(user.id, user.email, NEW))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"current": "a wrong password"}, "current"),
        ({"password": "short", "repeat": "short"}, "password"),
        ({"repeat": "something else"}, "repeat"),
        ({"password": ""}, "password"),
    ],
)
def test_a_bad_change_names_its_field_and_changes_nothing(
    client: FlaskClient, app: Flask, user: Account, data: dict[str, str], field: str
) -> None:
    login(client, user)
    good = {"current": user.password, "password": NEW, "repeat": NEW}
    answer = client.post("/auth/password", data={**good, **data})
    assert answer.status_code == 422
    assert page_of(answer).problem(field)
    assert is_logged_in(client)
    login(app.test_client(), user)


def test_the_sessions_of_an_account_that_is_switched_off_end(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    login(client, user)
    change(app, user, active=False)
    assert not is_logged_in(client)


# Forgotten passwords


@pytest.fixture
def mailing(make_app: MakeApp, smtp_server: Any) -> Flask:
    return make_app(SMTP_HOST=smtp_server.host, SMTP_PORT=smtp_server.port)


def test_a_forgotten_password_is_set_anew_by_mail(mailing: Flask, smtp_server: Any) -> None:
    client, elsewhere = mailing.test_client(), mailing.test_client()
    elsewhere.post("/auth/register", data=REGISTRATION)

    answer = client.post("/auth/forgot", data={"email": "ANN@example.com"})

    assert page_of(client.get(answer.location)).notices == [MAIL_SENT]
    [mail] = wait_for(lambda: smtp_server.messages)
    found = re.search(r"http://localhost(/auth/reset\?token=(\S+))", mail.get_content())
    assert found
    # The token leaves the address before the page is shown.
    assert client.get(found[1]).location == "/auth/reset"
    page = page_of(client.get("/auth/reset"))
    assert {"password", "repeat"} <= set(page.inputs)
    assert (
        client.post("/auth/reset", data={"password": NEW, "repeat": NEW}).location == "/auth/login"
    )
    with client.session_transaction() as session:
        assert TOKEN_KEY not in session
    assert not is_logged_in(elsewhere)
    login(client, Account(1, "ann@example.com", NEW))
    for line in log_lines(mailing):
        assert found[2] not in str(line)
    # Once only.
    again = mailing.test_client()
    assert again.get(found[1], follow_redirects=True).status_code == 422


def test_without_a_mail_server_no_mail_is_offered_or_promised(client: FlaskClient) -> None:
    client.get("/auth/forgot")
    for answer in (
        client.get("/auth/forgot"), client.post("/auth/forgot", data={"email": "a@example.com"}),
    ):  # fmt: skip
        assert "not set up to send mail" in answer.text
        assert "Mail me a link" not in answer.text
        assert "email" not in page_of(answer).inputs
    assert page_of(client.get("/auth/login")).notices == []


def test_an_unknown_address_gets_the_same_answer_and_no_mail(
    mailing: Flask, smtp_server: Any
) -> None:
    client = mailing.test_client()
    client.post("/auth/register", data=REGISTRATION)
    client.post("/auth/logout")
    client.get("/auth/login")
    answers = []
    for email in ("nobody@example.com", "ann@example.com"):
        first = client.post("/auth/forgot", data={"email": email})
        then = client.get(first.location)
        answers.append((first.status_code, first.location, page_of(then).notices))
    assert answers[0] == answers[1]
    wait_for(lambda: smtp_server.messages)
    assert [mail["To"] for mail in smtp_server.messages] == ["ann@example.com"]


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "%00", "%ff", "x" * 5000])
@pytest.mark.settings(SMTP_HOST="127.0.0.1")
def test_a_link_that_does_not_work_offers_a_new_one(client: FlaskClient, token: str) -> None:
    answer = client.get(f"/auth/reset?token={token}", follow_redirects=True)
    page = page_of(answer)
    assert answer.status_code == 422
    assert page.notices == ["This link no longer works. Ask for a new one."]
    assert "email" in page.inputs
    assert client.post("/auth/reset", data={"password": NEW, "repeat": NEW}).status_code == 422


def test_a_bad_new_password_leaves_the_link_good(
    client: FlaskClient, app: Flask, user: Account
) -> None:
    with app.app_context():
        token = make_token(account(app, user))
    client.get("/auth/reset", query_string={"token": token})
    for bad in ({}, {"password": "short", "repeat": "short"}, {"password": NEW, "repeat": "x"}):
        answer = client.post("/auth/reset", data=bad)
        page = page_of(answer)
        assert answer.status_code == 422
        assert page.problem("repeat" if bad.get("repeat") == "x" else "password")
    assert client.post("/auth/reset", data={"password": NEW, "repeat": NEW}).status_code == 302


@pytest.mark.settings(PUBLIC_URL="https://items.example/", SMTP_HOST="127.0.0.1")
def test_the_link_in_a_mail_leads_to_the_address_of_the_settings_not_of_the_request(
    client: FlaskClient, user: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = []
    monkeypatch.setattr(
        "app.services.password_reset.request_reset",
        lambda _email, _address, link: links.append(link("abc")),
    )
    client.post("/auth/forgot", data={"email": user.email}, headers={"Host": "evil.example"})
    assert links == ["https://items.example/auth/reset?token=abc"]


@pytest.mark.parametrize("hosts", [[], ["items.example"]])
def test_in_production_a_request_cannot_choose_where_the_mail_leads(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, hosts: list[str]
) -> None:
    app = make_app(
        APP_ENV="production", TRUSTED_HOSTS=hosts, RATELIMIT_ENABLED=False, SMTP_HOST="127.0.0.1"
    )
    sent = []
    monkeypatch.setattr(
        "app.services.email_service.send_email", lambda **mail: sent.append(mail["body"])
    )
    client = app.test_client()
    client.post("/auth/register", data=REGISTRATION, headers={"Host": "items.example"})
    for host in ("evil.example", "items.example"):
        client.post("/auth/forgot", data={"email": "ann@example.com"}, headers={"Host": host})
    if hosts:
        wait_for(lambda: sent)
        assert len(sent) == 1
        assert "http://items.example/auth/reset?token=" in sent[0]
    else:
        warnings = [one["message"] for one in log_lines(app) if one["level"] == "WARNING"]
        assert warnings == ["password_reset_needs_public_url"] * 2
        assert sent == []


# The real thing


class Browser:
    """One person's cookies and a real connection; redirects are shown, not followed."""

    class _Stay(HTTPRedirectHandler):
        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    def __init__(self, url: str) -> None:
        self.url = url
        self.jar = http.cookiejar.CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self.jar), self._Stay())

    def open(self, path: str, data: dict[str, str] | None = None) -> tuple[int, Any, str]:
        body = urlencode(data).encode() if data is not None else None
        try:
            answer = self._opener.open(self.url + path, body, timeout=60)
        except HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers, answer.read().decode()

    def post(self, path: str, **data: str) -> tuple[int, Any, str]:
        form = Page(self.open(path)[2])
        return self.open(path, {"csrf_token": str(form.inputs["csrf_token"]["value"]), **data})


def test_four_workers_admit_exactly_the_limit_of_wrong_logins(
    serve: Callable[..., Server], database_url: str
) -> None:
    server = serve(workers=4, env={"DATABASE_URL": database_url})
    server.flask("users", "create", "ann@example.com")
    statuses: list[int] = []

    def guess() -> None:
        browser = Browser(server.url)
        for _ in range(5):
            answer = browser.post("/auth/login", email="ann@example.com", password=PASSWORD)
            statuses.append(answer[0])

    threads = [threading.Thread(target=guess) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    limit = LOGIN_PER_ACCOUNT.rate.amount
    assert Counter(statuses) == {422: limit, 429: 30 - limit}
    reasons = Counter(one["details"]["reason"] for one in server.records("login_failed"))
    assert reasons == {"wrong_password": limit, "rate_limited": 30 - limit}
    pids = {one["pid"] for one in server.records("login_failed")}
    assert len(pids) > 1


def test_a_person_registers_changes_the_password_and_leaves_over_real_http(
    serve: Callable[..., Server],
) -> None:
    server = serve(workers=2)
    here, elsewhere = Browser(server.url), Browser(server.url)

    assert here.post("/auth/register", **REGISTRATION)[0] == 302
    status, headers, _ = elsewhere.post(
        "/auth/login?next=/auth/password", email="ann@example.com", password=PASSWORD
    )
    assert (status, headers["Location"]) == (302, "/auth/password")
    changed = here.post("/auth/password", current=PASSWORD, password=NEW, repeat=NEW)
    assert changed[0] == 302
    assert elsewhere.open("/auth/password")[0] == 302
    assert here.open("/auth/password")[0] == 200
    token = str(Page(here.open("/auth/password")[2]).inputs["csrf_token"]["value"])
    assert here.open("/auth/logout", {"csrf_token": token})[0] == 302
    assert here.open("/auth/password")[0] == 302
    actions = [one["action"] for one in server.records() if one.get("target_type") == "user"]
    assert actions == ["register", "login", "login", "password_changed", "logout"]
