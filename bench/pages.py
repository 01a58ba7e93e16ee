"""How long the administrator's pages take with millions of records in the log store.

Server time: each page is asked of the application itself, without a server or a network.
"""

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from flask.testing import FlaskClient

from bench import history
from bench.request import SECRET_KEY
from bench.stores import Store, all_stores
from bench.table import Row

AMOUNTS = {"SQLite": 1_000_000, "PostgreSQL": 5_000_000, "MongoDB": 1_000_000}
QUICK_AMOUNT = 100_000
AT_MOST_MS = 100
WINDOWS = ("1h", "6h", "24h", "7d", "30d")


def run(*, quick: bool) -> list[Row]:
    """Time every page in every window on every store."""
    rows = []
    with all_stores() as (stores, missing):
        for store in stores:
            amount = QUICK_AMOUNT if quick else AMOUNTS[store.name]
            history.fill(store.store, amount)
            store.settle()
            with _administrator(store) as client:
                rows += _timed(client, f"{store.name}, {amount:,} records", 11 if quick else 41)
            store.empty()
    return rows + [Row(one, "") for one in missing]


def addresses(client: FlaskClient) -> dict[str, list[str]]:
    """Return what is asked, by the kind of page; each kind has one bar."""
    newest, error = (_newest(client, action) for action in ("request", "error"))
    fingerprint = error["exception"]["fingerprint"]
    windows = [f"window={window}" for window in WINDOWS]
    wider = [one for one in windows if one != "window=6h"]
    ranges = ["", *(f"range={window}" for window in WINDOWS)]
    questions = [
        "", "level:error", "level:%3E%3Dwarning", "status:5xx", "action:item_delete", "user:7",
        "route:/api/items", "-action:request", "duration:%3E500", f"error:{fingerprint}",
    ]  # fmt: skip
    return {
        "overview": [f"/admin?{one}" for one in windows],
        "logs": [f"/admin/logs?q={one}&{time}" for one in questions for time in ranges],
        "logs, a common word": [f"/admin/logs?q=request&{time}" for time in ranges],
        "record, request": [
            f"/admin/logs/{newest['id']}", f"/admin/requests/{newest['request_id']}",
            f"/admin/requests/{error['request_id']}",
        ],
        "errors": [*(f"/admin/errors?{one}" for one in wider), f"/admin/errors/{fingerprint}"],
        "security": [f"/admin/security?{one}" for one in wider],
        "alerts, users": ["/admin/alerts", "/admin/users"],
        "JSON": [
            *(f"/api/logs?q={one}&{time}" for one in questions for time in ranges),
            *(f"/api/logs/overview?{one}" for one in windows),
            *(f"/api/logs/errors?{one}" for one in wider),
            *(f"/api/logs/security?{one}" for one in wider),
        ],
    }  # fmt: skip


def _newest(client: FlaskClient, action: str) -> Any:
    answer = client.get(f"/api/logs?q=action:{action}&limit=1", base_url="https://localhost")
    return answer.get_json()["records"][0]


def _timed(client: FlaskClient, where: str, rounds: int) -> list[Row]:
    rows = []
    for kind, asked in addresses(client).items():
        took = _in_turns(client, asked, rounds)
        worst = max(took, key=lambda one: _p95(took[one]))
        rows.append(_row(f"{kind}, {where}", took[worst], worst, AT_MOST_MS))
    rare = [_ms(client, f"/admin/logs?q=nowhere{number}") for number in range(rounds)]
    return [*rows, _row(f"logs, a word that is nowhere, {where}", rare, "one slice", 300)]


def _in_turns(client: FlaskClient, asked: list[str], rounds: int) -> dict[str, list[float]]:
    """Ask for each in turn, as `rounds.py` does: a noisy moment is then no address's alone."""
    warm, *others = [{one: _ms(client, one) for one in asked} for _ in range(rounds + 1)]
    return {one: [took[one] for took in others] for one in warm}


def _row(what: str, took: list[float], worst: str, bar: float) -> Row:
    p95 = _p95(took)
    return Row(
        what, f"p95 {p95:,.0f} ms, median {median(took):,.0f} ms", f"the slowest: {worst}",
        "", f"≤ {bar:.0f} ms", p95 <= bar,
    )  # fmt: skip


def _ms(client: FlaskClient, address: str) -> float:
    began = time.perf_counter()
    answer = client.get(address, base_url="https://localhost")
    answer.get_data()
    if answer.status_code != 200:
        raise RuntimeError(f"{address}: {answer.status}")
    return (time.perf_counter() - began) * 1000


def _p95(took: list[float]) -> float:
    return sorted(took)[int(0.95 * (len(took) - 1))]


@contextmanager
def _administrator(store: Store) -> Iterator[FlaskClient]:
    """Give an administrator's client of an application that reads this store."""
    from app import create_app, db
    from app.models.user import ADMIN, User

    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as name:
        folder = Path(name)
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
        app = create_app({
            "APP_ENV": "production", "SECRET_KEY": SECRET_KEY, "LOG_STORE_URL": store.url,
            "DATABASE_URL": f"sqlite:///{folder / 'app.db'}", "LOG_DIR": str(folder / "logs"),
            "UPLOAD_FOLDER": str(folder / "uploads"),
        })  # fmt: skip
        with app.app_context():
            db.create_all(None)
            user = User(email="admin@example.com", name="Admin", password_hash="none", role=ADMIN)
            db.session.add(user)
            db.session.commit()
            session_id = user.get_id()
        gc.freeze()  # As wsgi.py does.
        client = app.test_client()
        with client.session_transaction(base_url="https://localhost") as session:
            session["_user_id"] = session_id
        yield client
