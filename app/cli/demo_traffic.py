"""The visits of `flask demo traffic`: what ordinary people ask for, over HTTP."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

# How many of each kind in a deck of visits; decks are shuffled and played one after another.
DECK: dict[str, int] = {
    "list": 4, "search": 3, "show": 5, "list_json": 1, "create": 3, "edit": 2, "delete": 2,
    "stale_edit": 1, "bad_create": 1, "missing": 2, "failed_login": 1, "error": 1, "slow": 1,
    "n_plus_one": 1,
}  # fmt: skip
# More would use up what one address may try: logging in from this machine must go on working.
FAILED_LOGINS = 3
AT_ONCE = 6
_WORDS = ("desk", "lamp", "cable", "paper", "tea", "blue", "chair", "spare")


class Unreachable(Exception):
    """There is no such application at the address."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class Visitor:
    """Keep one session, as a browser does; several threads may share it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))
        self._token = ""

    def send(self, method: str, path: str, body: Any = None, form: Any = None) -> tuple[int, bytes]:
        """Return status and body of an answer; the status is 0 when there is none."""
        headers = {"User-Agent": "glasshouse-demo", "X-CSRFToken": self._token}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        elif form is not None:
            data = urlencode(form).encode()
        request = Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310 - the operator's own address
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, answer.read()
        except HTTPError as answer:
            return answer.code, answer.read()
        except (OSError, ValueError):
            return 0, b""

    def log_in(self, email: str, password: str) -> int:
        """Send the login form; the status is 200 only for who is logged in now."""
        self.renew_token()
        return self.send("POST", "/auth/login", form={"email": email, "password": password})[0]

    def renew_token(self) -> None:
        """Fetch the token that each change must carry. Raises Unreachable."""
        status, answer = self.send("GET", "/api/csrf-token")
        try:
            self._token = json.loads(answer)["csrf_token"]
        except (ValueError, KeyError, TypeError):
            raise Unreachable(self.url) from None
        if status != 200:
            raise Unreachable(self.url)


class Traffic:
    """Play visits and count the answers' statuses; 0 stands for none."""

    def __init__(self, url: str) -> None:
        self._visits: list[Future[int]] = []
        self._url = url
        self._visitor = Visitor(url)
        self._random = random.Random()  # noqa: S311 - a mix, not a secret
        self._failed_logins = 0
        self._own: list[int] = []
        self._ids: list[int] = []

    def probe(self) -> None:
        """Raise Unreachable unless the application answers."""
        self._visitor.renew_token()

    def log_in(self, email: str, password: str) -> None:
        """Begin the session in which most visits happen. Raises Unreachable."""
        if self._visitor.log_in(email, password) != 200:
            raise Unreachable(self._url)
        # A login begins a new session, and with it a new token.
        self._visitor.renew_token()
        _, answer = self._visitor.send("GET", "/api/items")
        self._ids = [item["id"] for item in json.loads(answer)["items"]]

    def run(self, total: int, rate: int, step: Callable[[int], Any]) -> None:
        """Make visits at a rate, and fewer when the server is slower than that."""
        deck: list[str] = []
        free = threading.Semaphore(AT_ONCE)
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for number in range(total):
                # Both waits are bounded, so the whole is: what is late is left out, not queued.
                time.sleep(max(0.0, begun + number / rate - time.monotonic()))
                step(1)
                if not free.acquire(timeout=1):
                    continue
                deck = deck or self._shuffled()
                visit = pool.submit(getattr(self, f"_{deck.pop()}"))
                visit.add_done_callback(lambda _: free.release())
                self._visits.append(visit)

    def statuses(self) -> Counter[int]:
        """Count the answers of all visits by status."""
        return Counter(visit.result() for visit in self._visits)

    def _shuffled(self) -> list[str]:
        deck = [kind for kind, count in DECK.items() for _ in range(count)]
        self._random.shuffle(deck)
        return deck

    def _get(self, path: str) -> int:
        return self._visitor.send("GET", path)[0]

    def _some_id(self) -> int:
        return self._random.choice(self._own or self._ids or [1])

    def _list(self) -> int:
        return self._get(f"/items?sort={self._random.choice(('newest', 'name', 'most'))}")

    def _search(self) -> int:
        return self._get(f"/items?q={self._random.choice(_WORDS)}")

    def _show(self) -> int:
        return self._get(f"/items/{self._random.choice(self._ids or [1])}")

    def _list_json(self) -> int:
        return self._get("/api/items?limit=10")

    def _create(self) -> int:
        word = self._random.choice(_WORDS)
        quantity = self._random.randrange(9)
        values = {"name": f"Spare {word}", "category": "Demo", "quantity": quantity}
        status, answer = self._visitor.send("POST", "/api/items", values)
        if status == 201:
            self._own.append(json.loads(answer)["id"])
        return status

    def _edit(self) -> int:
        return self._put(changed_by=0)

    def _stale_edit(self) -> int:
        return self._put(changed_by=7)

    def _put(self, changed_by: int) -> int:
        path = f"/api/items/{self._some_id()}"
        status, answer = self._visitor.send("GET", path)
        if status != 200:
            return status
        version = json.loads(answer)["version"] + changed_by
        values = {"quantity": self._random.randrange(100), "version": version}
        return self._visitor.send("PUT", path, values)[0]

    def _delete(self) -> int:
        try:
            own = self._own.pop(0)
        except IndexError:
            return self._create()
        return self._visitor.send("DELETE", f"/api/items/{own}")[0]

    def _bad_create(self) -> int:
        return self._visitor.send("POST", "/api/items", {"name": "", "quantity": -1})[0]

    def _missing(self) -> int:
        return self._get(self._random.choice(("/items/999999999", "/wp-login.php", "/shop")))

    def _failed_login(self) -> int:
        if self._failed_logins >= FAILED_LOGINS:
            return self._list()
        self._failed_logins += 1
        return Visitor(self._url).log_in("nobody@example.com", "a wrong password")

    def _error(self) -> int:
        return self._get("/demo/error")

    def _slow(self) -> int:
        return self._get("/demo/slow")

    def _n_plus_one(self) -> int:
        return self._get("/demo/n-plus-one")
