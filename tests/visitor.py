"""A browser without a screen: cookies, forms with their CSRF token, JSON."""

import json
import re
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener


@dataclass
class Answer:
    status: int
    text: str
    headers: Message
    url: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Visitor:
    """Visit a running server at `url`; follows redirects and keeps cookies."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def open(
        self, path: str, *, data: bytes | None = None, method: str | None = None, **headers: str
    ) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(self.url + path, data=data, headers=names, method=method)
        try:
            with self._opener.open(request, timeout=30) as response:
                return Answer(
                    response.status, response.read().decode(), response.headers, response.url
                )
        except HTTPError as error:
            return Answer(error.code, error.read().decode(), error.headers, error.url)

    def get(self, path: str, **headers: str) -> Answer:
        return self.open(path, **headers)

    def csrf_token(self) -> str:
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.get("/items").text)
        assert found, "no CSRF token on the page"
        return found[1]

    def post(self, path: str, fields: dict[str, Any], **headers: str) -> Answer:
        body = urlencode({"csrf_token": self.csrf_token(), **fields}).encode()
        return self.open(path, data=body, method="POST", **headers)

    def send_json(self, method: str, path: str, value: Any, **headers: str) -> Answer:
        return self.open(
            path, data=json.dumps(value).encode(), method=method,
            Content_Type="application/json", X_CSRFToken=self.csrf_token(), **headers,
        )  # fmt: skip

    def login(self, email: str, password: str) -> None:
        answer = self.post("/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer.text
        assert not answer.url.endswith("/auth/login"), answer.text
