"""The account pages on a real server, over real HTTP."""

import http.cookiejar
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, build_opener

from app.services.throttle import LOGIN_PER_ACCOUNT
from tests.blueprints.auth.pages import (
    NEW,
    REGISTRATION,
    Page,
)
from tests.helpers import PASSWORD, Server


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
