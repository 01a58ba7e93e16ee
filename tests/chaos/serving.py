"""A gunicorn under load while the ground moves under its log, and what must hold after that."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app.logstore.contract import LogQuery
from app.scheduler.status import read_status
from tests.chaos.disk import Disk, read_only, small_disk
from tests.chaos.variants import SOUND
from tests.exposition import Exposition
from tests.helpers import PASSWORD, Server, children_of, is_running, serving, wait_for
from tests.logstore.stores import everything, open_engine, open_store
from tests.visitor import Answer, Visitor

WORKERS = 3
KINDS = {"look": 200, "miss": 404, "create": 201, "refuse": 422}  # And the status of each.


class Load:
    """Visitors that send numbered requests, as many at a time as there are `visitors`."""

    def __init__(self, url: str, visitors: int = 6) -> None:
        self._visitor = Visitor(url)
        fields = {"name": "C", "password": PASSWORD, "repeat": PASSWORD}
        self._visitor.post("/auth/register", {"email": "chaos@example.com", **fields})
        self._token = self._visitor.csrf_token()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._visit, args=(f"chaos-{n}",)) for n in range(visitors)
        ]
        # Request ID -> kind.
        self.answered: dict[str, str] = {}
        self.faults: list[str] = []
        # When a worker was killed last.
        self.killed_at = 0.0

    def __enter__(self) -> "Load":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for one in self._threads:
            one.join()

    def go_on(self, answers: int) -> None:
        """Return when so many more requests were answered."""
        end = len(self.answered) + answers
        wait_for(lambda: len(self.answered) >= end or self.faults, 60)

    def ask(self, kind: str, key: str) -> Answer:
        if kind in {"look", "miss"}:
            path = "/items" if kind == "look" else "/api/items/999999"
            return self._visitor.get(path, X_Request_ID=key)
        item = {"name": key if kind == "create" else "", "quantity": 1}
        return self._visitor.open(
            "/api/items", data=json.dumps(item).encode(), method="POST", X_Request_ID=key,
            Content_Type="application/json", X_CSRFToken=self._token,
        )  # fmt: skip

    def _visit(self, name: str) -> None:
        for number, kind in enumerate(itertools.cycle(KINDS)):
            if self._stop.is_set():
                return
            key, began = f"{name}-{number}", time.monotonic()
            try:
                answer = self.ask(kind, key)
            except (OSError, HTTPException) as error:
                if not (_is_cut(error) and began <= self.killed_at):
                    self.faults.append(f"{key}, {kind}: {error!r}")
                continue
            if answer.status != KINDS[kind]:
                self.faults.append(f"{key}, {kind}: {answer.status} {answer.text[-500:]}")
            self.answered[key] = kind


@dataclass
class Site:
    """A server with its LOG_DIR on a small disk, its store, and the load on it."""

    server: Server
    disk: Disk
    store_url: str
    store_server: Any
    load: Load
    lost: int = 0

    def kill_workers(self, times: int = 3) -> None:
        for _ in range(times):
            victim = random.choice(self.server.workers())
            self.load.killed_at = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: not is_running(victim), 20)  # noqa: B023 - asked at once
            self.load.go_on(20)
        wait_for(lambda: len(self.server.workers()) == WORKERS, 30)

    def stop_store(self) -> None:
        if self.store_server is not None:
            self.store_server.stop()
            self.load.go_on(60)
            self.store_server.start()

    def fill_disk(self) -> None:
        self.disk.fill()
        self.load.go_on(80)
        self.disk.free()

    def turn_read_only(self) -> None:
        with read_only(self.server.log_dir):
            self.load.go_on(40)

    def remove_logs(self) -> None:
        # What no runner has begun to read would go, and that is no fault.
        runner = 0
        while runner != (runner := self._runner()):
            self.ship()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.server.log_dir)
        self.load.go_on(40)

    def _runner(self) -> int:
        """Wait for a runner of this LOG_DIR that is not about to end with its worker."""

        def at_work() -> int:
            children = [pid for worker in self.server.workers() for pid in children_of(worker)]
            status = read_status(self.server.log_dir)
            return status.pid if status and status.pid in children else 0

        return wait_for(at_work, 90, "no runner")

    def _is_done(self, asked: datetime) -> bool:
        status = read_status(self.server.log_dir)
        shipped = status is not None and status.seen_at > asked and not status.unshipped_bytes
        return shipped and not self._ask_database("SELECT id FROM outbox")

    def ship(self) -> None:
        """Wait until all that is in app.log now is stored."""
        key = f"mark-{time.monotonic_ns()}"
        self.load.ask("look", key)
        with open_store(self.store_url, ready=False) as store:
            wait_for(
                lambda: store.page(LogQuery(request_id=key)).records, 90, f"{key} is not stored"
            )

    def dropped(self) -> float:
        scraped = Visitor(self.server.url).get("/metrics").text
        return Exposition(scraped).sum("log_records_dropped_total")

    def judge(self) -> list[str]:
        """Return what is wrong after the load has ended, nothing when all is well."""
        asked = datetime.now(UTC)
        wait_for(lambda: self._is_done(asked), 120, "not all is shipped")
        faults = list(self.load.faults)
        with open_store(self.store_url, ready=False) as store:
            records = everything(store)
            if wrong := store.recount(check=True).wrong:
                faults.append(f"{wrong} counts differ from a recount")
        return faults + self._judge_records(records) + self._judge_changes(records)

    def _judge_records(self, records: list[dict[str, Any]]) -> list[str]:
        """Each answer has its records once, but for as many as are counted as lost."""
        told = Counter(
            (one["request_id"], one["action"]) for one in records
            if one["action"] == "request" or one["outcome"] == "refused"
        )  # fmt: skip
        due = [(key, "request") for key in self.load.answered]
        due += [
            (key, "item_create") for key, kind in self.load.answered.items() if kind == "refuse"
        ]
        self.lost = sum(not told[one] for one in due)
        doubled = sum(times > 1 for times in told.values())
        faults = [f"{doubled} records are stored more than once"] if doubled else []
        # Those of requests that a kill left without an answer, and of nobody's: the runner and
        # gunicorn could not write some either. And what an answer need not have: slow queries.
        wanted = set(due)
        others = [one for one in self._refused_lines() if _is_other(one, wanted)]
        if (counted := self.dropped()) != self.lost + len(others):
            faults.append(f"{self.lost} and {len(others)} other records lost, {counted} counted")
        return faults

    def _judge_changes(self, records: list[dict[str, Any]]) -> list[str]:
        """Each committed change has its record once, and no other one has any."""
        told = Counter(
            one["target_id"] for one in records
            if (one["action"], one["outcome"]) == ("item_create", "success")
        )  # fmt: skip
        items = dict(self._ask_database("SELECT name, id FROM items"))
        twice = sum(times > 1 for times in told.values())
        faults = [f"{twice} changes have more than one record"] if twice else []
        committed = {str(item_id) for item_id in items.values()}
        if missing := committed - set(told):
            faults.append(f"{len(missing)} committed changes have no record")
        if untrue := set(told) - committed:
            faults.append(f"{len(untrue)} records tell of changes that are not there")
        created = {key for key, kind in self.load.answered.items() if kind == "create"}
        if gone := created - set(items):
            faults.append(f"{len(gone)} acknowledged changes are not there")
        return faults

    def _refused_lines(self) -> Iterator[dict[str, Any]]:
        """What the disk refused went to stderr."""
        for line in (self.server.folder / "gunicorn.out").read_text(errors="replace").splitlines():
            if line.startswith('{"'):
                yield json.loads(line)

    def _ask_database(self, question: str) -> list[tuple[Any, ...]]:
        engine = open_engine(self.server.env["DATABASE_URL"], tables=False)
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(text(question))]
        engine.dispose()
        return found


WEATHER: dict[str, Callable[[Site], None]] = {
    "logs are removed": Site.remove_logs,
    "disk is full": Site.fill_disk,
    "folder is read-only": Site.turn_read_only,
    "store is away": Site.stop_store,
    "workers are killed": Site.kill_workers,
}


@contextlib.contextmanager
def troubled_site(
    folder: Path, store_url: str, store_server: Any = None, *, variant: str = SOUND, **env: str
) -> Iterator[Site]:
    """Serve the application, or a broken variant of it, under load."""
    settings = {
        "LOG_DIR": str(folder / "disk" / "logs"), "LOG_STORE_URL": store_url, "VARIANT": variant,
        "LOG_FILE_MAX_BYTES": "100000000", **env,
    }  # fmt: skip
    with (
        small_disk(folder / "disk", "8m") as disk,
        serving(folder, workers=WORKERS, env=settings, app="tests.chaos.broken_wsgi:app") as server,
        Load(server.url) as load,
    ):
        yield Site(server, disk, store_url, store_server, load)


def blow(site: Site, weather: list[str]) -> list[str]:
    """Let one weather follow the other; return what is wrong then."""
    site.load.go_on(40)
    for one in weather:
        WEATHER[one](site)
    site.load.go_on(40)
    site.load.__exit__()
    return site.judge()


def _is_other(line: dict[str, Any], wanted: set[tuple[str, str]]) -> bool:
    # A change that was committed has its record in the outbox, so it is not lost.
    committed = (line.get("action"), line.get("outcome")) == ("item_create", "success")
    return (line.get("request_id"), line.get("action")) not in wanted and not committed


def _is_cut(error: Exception) -> bool:
    return isinstance(getattr(error, "reason", error), ConnectionError | IncompleteRead)
