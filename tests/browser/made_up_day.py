"""A lively day in the log, made from what a short visit to a site really left."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.observability.ids import new_id
from tests.helpers import PASSWORD, ROOT, Server, serving
from tests.log_records import made

Record = dict[str, Any]
PEOPLE = ["ann@example.com", "ben@example.com", "cleo@example.com", "dora@example.com"]
GUESSED = ["admin", "root", "info", "ann", "sales", "support"]
REQUESTS = 2600
# Type, message, fingerprint, where, and how many of a hundred errors.
ERRORS = [
    ("ZeroDivisionError", "division by zero", None, None, 30),
    ("KeyError", "'price'", "5d0c9a41e7b2f368",
     "app/services/item_service.py:88 in _validated", 45),
    ("TimeoutError", "the mail server did not answer in 10 s", "b81e6f02c94d7a35",
     "app/services/email_service.py:61 in send_email", 15),
    ("UnidentifiedImageError", "cannot identify image file", "27f3a8d5610bce94",
     "app/services/uploads.py:47 in save_picture", 10),
]  # fmt: skip
# The same day each time.
_random = random.Random(7)


def write(site: Server, folder: Path) -> None:
    """Append the day to a site's log, whose runner then stores it."""
    groups = rehearse(folder)
    lines = [*_requests(groups), *_samples(), *_guesses()]
    lines.sort(key=lambda one: one["id"])
    with (site.log_dir / "app.log").open("a") as log:
        log.writelines(json.dumps(one) + "\n" for one in lines)


def rehearse(folder: Path) -> dict[str, list[list[Record]]]:
    """Return what visits to a site of its own left, by what they were."""
    with serving(folder, env={"SLOW_QUERY_MS": "250"}) as site:
        site.flask("users", "create", PEOPLE[0], "--admin", "--password-stdin", input=PASSWORD)
        site.flask("demo", "seed")
        site.flask("demo", "traffic", "--seconds", "25", "--rate", "8", "--url", site.url)
        records = site.records()
    found: dict[str, list[list[Record]]] = defaultdict(list)
    by_request: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        by_request[one.get("request_id") or ""].append(one)
    for group in by_request.values():
        line = next((one for one in group if one.get("action") == "request"), None)
        if line and line.get("account"):
            found[_kind(line)].append(group)
    return found


def _kind(line: Record) -> str:
    known = {"/demo/slow": "slow", "/demo/n-plus-one": "repeat"}
    return "error" if line["status"] >= 500 else known.get(line.get("route") or "", "fine")


def _requests(groups: dict[str, list[list[Record]]]) -> Iterator[Record]:
    for _ in range(REQUESTS):
        hours = 24 * _random.random() ** 1.15
        # For a part of the last hour something was wrong.
        bad = 0.3 < hours < 0.8
        kind = _random.choices(
            ["fine", "slow", "repeat", "error"], [90, 2 + 3 * bad, 1, 0.5 + 40 * bad]
        )[0]
        group = _random.choice(groups[kind] or groups["fine"])
        yield from _moved(group, timedelta(hours=hours))


def _moved(group: list[Record], ago: timedelta) -> Iterator[Record]:
    """Yield the records of one request as if it had happened before, to somebody else."""
    moved_by = datetime.now(UTC) - ago - datetime.fromisoformat(group[0]["timestamp"])
    person = _random.randrange(len(PEOPLE))
    slower = _random.lognormvariate(0, 0.6)
    said = json.dumps(group).replace(str(ROOT), "/srv/glasshouse")
    request_id, host = new_id(), _random.choice(["web-1", "web-2"])
    address = f"198.51.100.{10 + person}"
    for one in json.loads(said):
        moment = datetime.fromisoformat(one["timestamp"]) + moved_by
        fresh = made(ago=datetime.now(UTC) - moment)
        one |= {"id": fresh["id"], "timestamp": fresh["timestamp"], "host": host}
        one |= {"request_id": request_id, "remote_addr": address, "release": "1.4.0"}
        if one.get("account"):
            one |= {"account": PEOPLE[person], "user_id": str(person + 1)}
        if "duration_ms" in one:
            one["duration_ms"] = round(one["duration_ms"] * slower, 3)
        if one.get("exception"):
            _vary(one)
        yield one


def _vary(record: Record) -> None:
    kind, message, fingerprint, place, _ = _random.choices(ERRORS, [one[4] for one in ERRORS])[0]
    if fingerprint:
        record["exception"] |= {"type": kind, "message": message, "fingerprint": fingerprint}
        record["details"] = {**record.get("details", {}), "place": place}
        record["message"] = kind


def _samples() -> Iterator[Record]:
    for minute in range(0, 24 * 60, 4):
        for number, host in enumerate(["web-1", "web-2"]):
            details = {
                "process": "worker", "cpu_percent": round(_random.gauss(14, 4), 1),
                "rss_bytes": int(95e6 + _random.gauss(0, 2e6)),
                "pool": {"in_use": _random.choice([0, 1, 1, 2]), "size": 5, "overflow": 0},
                "disk_free": {"uploads": 0.61, "logs": 0.61 - 0.00001 * minute},
            }  # fmt: skip
            yield made("sample", ago=timedelta(minutes=minute, seconds=5 + number),
                       logger="app.events", action="sample", host=host, pid=41 + number,
                       release="1.4.0", details=details)  # fmt: skip


def _guesses() -> Iterator[Record]:
    for number in range(26):
        yield made(
            "login failed", ago=timedelta(minutes=38, seconds=-7 * number), level="WARNING",
            logger="app.events", action="login_failed", outcome="refused", host="web-1",
            account=f"{_random.choice(GUESSED)}@example.com", remote_addr="203.0.113.9",
            method="POST", path="/auth/login", route="/auth/login", request_id=new_id(),
            details={"reason": _random.choice(["wrong_password", "unknown_account"])},
        )  # fmt: skip
