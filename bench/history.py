"""Fill a log store with the past of a busy shop: `python -m bench.history URL --records 1000000`.

The URL is that of LOG_STORE_URL; its tables must be there (`flask --app wsgi db upgrade`).
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from random import Random
from typing import Any
from uuid import UUID

from app.logstore.contract import Checkpoint

Record = dict[str, Any]
DAYS = 30
BATCH = 5_000
PEOPLE, ITEMS, FINGERPRINTS = 2_000, 100_000, 60
HOSTS = ("web-1", "web-2")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
# Route, path, method, how often in a thousand, its usual milliseconds, what it records.
_ROUTES = (
    ("/items", "/items", "GET", 330, 12, None),
    ("/items/<int:item_id>", "/items/{item}", "GET", 340, 8, None),
    ("/items/<int:item_id>", "/items/{item}", "PUT", 60, 15, "item_update"),
    ("/items/<int:item_id>", "/items/{item}", "DELETE", 12, 11, "item_delete"),
    ("/items/new", "/items/new", "POST", 40, 18, "item_create"),
    ("/api/items", "/api/items", "GET", 120, 9, None),
    ("/items/<int:item_id>/image", "/items/{item}/image", "GET", 60, 4, None),
    ("/auth/login", "/auth/login", "POST", 18, 240, "login"),
    (None, "/wp-admin/{item}", "GET", 20, 1, None),
)
_STATEMENTS = tuple(
    f"SELECT items.id, items.name FROM items WHERE items.{column} = ? ORDER BY items.id LIMIT ?"
    for column in ("owner_id", "sort_name", "category", "quantity", "created_at", "price")
)
_FRAME = '  File "/srv/app/services/item_service.py", line {line}, in step_{line}\n    work()\n'
_LIBRARY = '  File "/venv/lib/python3.11/site-packages/flask/app.py", line 880, in dispatch\n'


def records(amount: int, days: float = DAYS, seed: int = 1) -> Iterator[Record]:
    """Yield so many records of the last days, oldest first, as the application writes them.

    About 78 of 100 are requests; errors come from 60 places, a few of them far more often.
    """
    random, now = Random(seed), time.time()
    step = days * 86_400 / amount
    # Of a minute, unless so few records are asked for that samples would be most of them.
    between = max(60, 100 * step)
    made, moment, next_sample = 0, now - days * 86_400, 0.0
    while made < amount:
        if moment >= next_sample:
            unit, next_sample = _samples(moment, random), moment + between
        else:
            unit = _request(moment, random)
        yield from unit[: amount - made]
        made += len(unit)
        moment += step * len(unit)


def _request(moment: float, random: Random) -> list[Record]:
    route, path, method, _, usual, action = random.choices(_ROUTES, _WEIGHTS)[0]
    item, person = random.randrange(ITEMS), int(PEOPLE * random.random() ** 3)
    request_id = _id_at(moment, random)
    duration = round(
        usual * random.lognormvariate(0, 0.6) * (90 if random.random() < 1e-3 else 1), 3
    )
    failed = random.random() < 0.006
    refused = action == "login" and random.random() < 0.2
    shared = {
        "request_id": request_id, "user_id": str(person), "account": f"person{person}@example.com",
        "method": method, "path": path.format(item=item), "route": route,
        "remote_addr": f"198.51.{person % 256}.{item % 256}",
    }  # fmt: skip
    unit = []
    if failed:
        unit.append(_error(moment, random, shared))
    elif action:
        unit.append(_operation(moment, random, shared, "login_failed" if refused else action, item))
    if duration > 1000 or random.random() < 0.004:
        unit.append(_slow_query(moment, random, shared))
    if action == "item_create":
        sent = "email_failed" if random.random() < 0.02 else "email_sent"
        unit.append(_made(moment, random, shared, sent.replace("_", " "), action=sent))
    status = 500 if failed else 404 if route is None else 422 if refused else 200
    queries = random.randrange(1, 9)
    details: Record = {"user_agent": _AGENT}
    if random.random() < 0.002:
        details["n_plus_one"] = [
            {"statement": random.choice(_STATEMENTS), "line": "app/services/x.py:9", "count": 50}
        ]
    unit.append(
        _made(moment, random, shared, "request", action="request", status=status,
              duration_ms=duration, db_ms=round(duration / 3, 3), db_count=queries,
              details=details)
    )  # fmt: skip
    return unit


_WEIGHTS = [route[3] for route in _ROUTES]


def _made(moment: float, random: Random, shared: Record, message: str, **fields: Any) -> Record:
    return {
        "id": _id_at(moment, random),
        "timestamp": datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z"),
        "level": "INFO", "logger": "app.events", "message": message,
        "host": random.choice(HOSTS), "pid": 100 + random.randrange(4), "release": "1.0.0",
        **shared, **fields,
    }  # fmt: skip


def _operation(moment: float, random: Random, shared: Record, action: str, item: int) -> Record:
    fields: Record = {"target_type": "item", "target_id": str(item), "outcome": "success"}
    if action.startswith("login"):
        fields = {"outcome": "success"}
    if action == "login_failed":
        fields = {"outcome": "refused", "level": "WARNING"}
    return _made(moment, random, shared, action, action=action, duration_ms=3.25, **fields)


def _slow_query(moment: float, random: Random, shared: Record) -> Record:
    ms = round(1000 * random.lognormvariate(0.3, 0.3))
    return _made(
        moment, random, shared, "slow query", action="slow_query", level="WARNING",
        statement=random.choice(_STATEMENTS), duration_ms=ms,
        details={"line": "app/services/item_list.py:88"},
    )  # fmt: skip


def _error(moment: float, random: Random, shared: Record) -> Record:
    number = int(FINGERPRINTS * random.random() ** 3)
    message = f"item {random.randrange(ITEMS)} is broken"
    frames = _LIBRARY + "".join(_FRAME.format(line=number + depth) for depth in range(6))
    return _made(
        moment, random, shared, "ValueError", action="error", level="ERROR",
        exception={
            "type": "ValueError", "message": message, "fingerprint": f"{number:016x}",
            "traceback": f"Traceback (most recent call last):\n{frames}ValueError: {message}\n",
        },
        details={"place": f"app/services/item_service.py:{number} in step_{number}"},
    )  # fmt: skip


def _samples(moment: float, random: Random) -> list[Record]:
    """Return what each process of each host says of itself once a minute."""
    found = []
    for host in HOSTS:
        for pid in range(2):
            figures = {
                "process": "server", "cpu_percent": round(40 + 30 * math.sin(moment / 9000), 1),
                "rss_bytes": 120_000_000 + random.randrange(9_000_000),
                "pool": {"in_use": random.randrange(6), "size": 5, "overflow": 0},
                "disk_free": {"uploads": 0.42, "logs": 0.42},
            }  # fmt: skip
            found.append(
                _made(moment, random, {"request_id": None}, "sample", action="sample",
                      details=figures) | {"host": host, "pid": 100 + pid}
            )  # fmt: skip
    return found


def _id_at(moment: float, random: Random) -> str:
    number = (int(moment * 1000) << 80) | (7 << 76) | (2 << 62)
    return str(UUID(int=number | (random.getrandbits(12) << 64) | random.getrandbits(62)))


def fill(store: Any, amount: int, days: float = DAYS) -> None:
    """Store a history through the store's own append(), as the runner does."""
    every, seq = records(amount, days), 1
    while batch := list(islice(every, BATCH)):
        seq = _append(store, batch, seq)


def _append(store: Any, batch: Sequence[Record], seq: int) -> int:
    store.append(batch, Checkpoint("history", "history", seq, False, seq))
    return seq + len(batch)


def main() -> None:
    from app import create_app

    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("url", metavar="LOG_STORE_URL")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=DAYS)
    options = parser.parse_args()
    app = create_app({"LOG_STORE_URL": options.url})
    fill(app.extensions["log_store"], options.records, options.days)


if __name__ == "__main__":
    main()
