"""Made-up log records, put into an app's own log store."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from flask import Flask

from app.logstore.contract import Checkpoint
from app.observability.ids import id_floor, new_id

_numbers = count(1)


def id_at(moment: datetime) -> str:
    """Return an identifier of an instant, another one at each call."""
    # The key of a record is its time: the id says the same as the timestamp.
    return id_floor(moment)[:14] + new_id()[14:24] + uuid4().hex[:12]


def made(message: str = "hello", *, ago: timedelta = timedelta(0), **fields: Any) -> dict[str, Any]:
    """Return a record of a time before now, by the names of the record contract."""
    moment = datetime.now(UTC) - ago
    return {
        "id": id_at(moment) if ago else new_id(), "timestamp": moment.isoformat(),
        "level": "INFO", "logger": "made.up", "message": message, **fields,
    }  # fmt: skip


def put(app: Flask, *records: dict[str, Any]) -> list[dict[str, Any]]:
    """Store records as the runner does; return them."""
    start = next(_numbers) * 10_000
    with app.app_context():
        app.extensions["log_store"].append(list(records), Checkpoint("host", "1", 0, False, start))
    return list(records)


QUERIES = [
    {"statement": "SELECT items.id FROM items WHERE items.id = ?", "ms": 12.5, "offset_ms": 3.25,
     "line": "app/services/item_service.py:42", "count": 1},
    {"statement": "SELECT users.id FROM users", "ms": 1.0, "offset_ms": 20.0,
     "line": "app/blueprints/auth/sessions.py:9", "count": 7},
]  # fmt: skip

TRACEBACK = """Traceback (most recent call last):
  File "/srv/lib/python3.11/site-packages/flask/app.py", line 1, in wsgi_app
    response = self.dispatch()
  File "/srv/app/services/item_service.py", line 42, in create
    raise KeyError(name)
KeyError: 'x'
"""


def failed_request(request_id: str, **fields: Any) -> list[dict[str, Any]]:
    """Return what a request leaves that failed: a line, an error, and its own record."""
    base = {
        "request_id": request_id, "method": "GET", "path": "/demo/error", "route": "/demo/error",
        "user_id": "7", "account": "ann@example.com", **fields,
    }  # fmt: skip
    exception = {"type": "KeyError", "message": "'x'", "traceback": TRACEBACK,
                 "fingerprint": "a1b2c3d4"}  # fmt: skip
    return [
        made("about to fail", **base),
        made("KeyError", **{**base, "level": "ERROR"}, action="error", exception=exception,
             details={"place": "app/services/item_service.py:42 in create"}),
        made("request", **base, action="request", status=500, duration_ms=45.5, db_ms=13.5,
             db_count=8, details={"queries": QUERIES}),
    ]  # fmt: skip
