"""Metrics under a real gunicorn: four workers share the work, one scrape tells all of it."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from app.observability.metrics import METHODS
from tests.exposition import Exposition
from tests.helpers import PASSWORD, Server, children_of, is_running, wait_for
from tests.visitor import Visitor

Serve = Callable[..., Server]
WORKERS = 4
EMAIL = "worker@example.com"


scrapes: Counter[str] = Counter()


def scrape(server: Server, query: str = "") -> Exposition:
    answer = Visitor(server.url).get(f"/metrics{query}")
    assert answer.status == 200, answer.text
    scrapes[server.url] += 1
    found = Exposition(answer.text)
    found.number = scrapes[server.url]
    return found


def settled(server: Server) -> Exposition:
    """Return a scrape at a moment when nothing moves any more."""
    last: list[Exposition] = []

    def quiet() -> bool:
        lines = len(server.records())
        last[:] = [scrape(server)]
        return last[0].sum("log_records_total") == scrape(server).sum("log_records_total") and (
            len(server.records()) == lines
        )

    wait_for(quiet, 20)
    return last[0]


def signed_up(server: Server) -> Visitor:
    visitor = Visitor(server.url)
    visitor.post(
        "/auth/register", {"email": EMAIL, "name": "W", "password": PASSWORD, "repeat": PASSWORD}
    )
    return visitor


def share_work(server: Server, work: Callable[[int], None], threads: int = 12) -> None:
    """Run `work` in rounds, many at a time, until each worker has taken part."""
    for start in range(0, 20 * threads, threads):
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(start, start + threads)))
        if (
            len({one["pid"] for one in server.records("request")} & set(server.workers()))
            >= WORKERS
        ):
            return
    pytest.fail("not every worker took part")


class Sent:
    """Counts what the test itself has sent, from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def add(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1


def test_each_metric_moves_by_the_exact_amount(serve: Serve, smtp_server: Any) -> None:
    server = serve(
        workers=WORKERS,
        env={
            # Its own statements and records would be in the way of an exact comparison.
            "SCHEDULER_ENABLED": "false",
            "SMTP_HOST": smtp_server.host,
            "SMTP_PORT": str(smtp_server.port),
        },
    )
    owner = signed_up(server)
    token = owner.csrf_token()
    before, seen = settled(server), len(server.records())
    sent = Sent()

    def create(number: int) -> None:
        name = "" if number % 4 == 0 else f"thing {number}"
        answer = owner.open(
            "/api/items", data=f'{{"name": "{name}", "quantity": 1}}'.encode(), method="POST",
            Content_Type="application/json", X_CSRFToken=token,
        )  # fmt: skip
        sent.add(f"create {answer.status}")
        sent.add(f"missing {Visitor(server.url).get(f'/nowhere/{number}').status}")

    share_work(server, create)
    for _ in range(3):
        Visitor(server.url).post("/auth/login", {"email": EMAIL, "password": "wrong, not mine"})
    for _ in range(2):
        Visitor(server.url).login(EMAIL, PASSWORD)
    Visitor(server.url).post("/auth/forgot", {"email": EMAIL})
    wait_for(lambda: len(smtp_server.messages) == 1)
    wait_for(lambda: server.records("email_sent"))

    after, records = settled(server), server.records()[seen:]

    def moved(name: str, **labels: Any) -> float:
        return after.sum(name, **labels) - before.sum(name, **labels)

    requests = [one for one in records if one.get("action") == "request"]
    operations = "item_operations_total"
    assert sent.counts["create 201"] == moved(operations, operation="create", status="success") > 0
    assert sent.counts["create 422"] == moved(operations, operation="create", status="refused") > 0
    assert moved(operations) == sent.counts["create 201"] + sent.counts["create 422"]
    assert moved("login_attempts_total", result="failure") == 3
    assert moved("login_attempts_total", result="success") == 2
    assert moved("emails_total", result="sent") == moved("emails_total") == 1

    http, duration = "flask_http_request_total", "flask_http_request_duration_seconds_count"
    assert moved(http) == moved(duration) == len(requests)
    for status, count in Counter(one["status"] for one in requests).items():
        assert moved(http, status=status) == count
    created = moved(duration, url_rule="/api/items", method="POST")
    assert created == sent.counts["create 201"] + sent.counts["create 422"]
    assert moved(duration, url_rule="unmatched", status=404) == sent.counts["missing 404"]

    assert moved("log_records_total") == len(records)
    for level, count in Counter(one["level"] for one in records).items():
        assert moved("log_records_total", level=level) == count
    assert moved("log_records_dropped_total") == 0

    # Each scrape asks the database once: which alerts fire.
    statements = sum(one.get("db_count", 0) for one in requests)
    assert statements > 0
    of_scrapes = after.number - before.number
    assert moved("db_query_duration_seconds_count") == statements + of_scrapes
    # A worker shows its pool every few seconds.
    wait_for(lambda: scrape(server).sum("db_pool_connections", state="in_use") == 0)
    assert scrape(server).sum("db_pool_connections", state="idle") >= 1


def test_lost_records_are_counted_exactly(serve: Serve) -> None:
    server = serve(workers=WORKERS, env={"SCHEDULER_ENABLED": "false"})
    share_work(server, lambda number: void(Visitor(server.url).get(f"/nowhere/{number}")))
    before, there = settled(server), len(server.records())
    dropped, rounds = "log_records_dropped_total", [before]

    def every_worker_loses() -> bool:
        # Each goes on in the file that it holds until it looks for the name again.
        with ThreadPoolExecutor(8) as pool:
            visits = pool.map(lambda n: Visitor(server.url).get(f"/nowhere/{n}").status, range(40))
            assert list(visits) == [404] * 40
        rounds.append(scrape(server))
        return rounds[-1].sum(dropped) - rounds[-2].sum(dropped) >= 40

    away = server.log_dir.with_name("away")
    server.log_dir.rename(away)
    server.log_dir.write_text("A file where the folder should be.")
    try:
        wait_for(every_worker_loses, 20)
    finally:
        server.log_dir.unlink()
        away.rename(server.log_dir)
    after, written = rounds[-1], len(server.records()) - there
    lost = 40 * (len(rounds) - 1) - written
    assert after.sum(dropped, reason="write_failed") - before.sum(dropped) == lost
    assert after.sum("log_records_total") - before.sum("log_records_total") == written


def void(_value: Any) -> None:
    return


@contextmanager
def load(server: Server) -> Iterator[None]:
    """Keep the server busy with requests that use the database."""
    stop = threading.Event()

    def visit() -> None:
        while not stop.is_set():
            try:
                Visitor(server.url).get("/items")
            except (OSError, HTTPException):
                # The worker that had this connection was killed.
                continue

    threads = [threading.Thread(target=visit) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_killed_workers_leave_their_counts_and_nothing_else(serve: Serve) -> None:
    server = serve(workers=WORKERS, env={"SCHEDULER_ENABLED": "false"})
    folder = metrics_folder(server)
    with load(server):
        share_work(server, lambda number: void(Visitor(server.url).get(f"/nowhere/{number}")))
    before = settled(server)
    files = {path.name for path in folder.iterdir()}
    cpu = before.sum("process_cpu_seconds_total")
    for _ in range(3):
        with load(server):
            victim = server.workers()[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(
                lambda pid=victim: not is_running(pid) and len(server.workers()) == WORKERS, 20
            )
            newest = wait_for(lambda: scrape(server).sum("process_cpu_seconds_total"))
            assert newest >= cpu
            cpu = newest
    after = settled(server)
    # Some counts were lost with the records of requests that died, none that were told.
    requests = Counter(one["status"] for one in server.records("request"))
    assert after.sum("flask_http_request_total", status=404) == requests[404]
    wait_for(lambda: scrape(server).sum("db_pool_connections", state="in_use") == 0)
    assert {path.name for path in folder.iterdir()} <= files | {
        f"gauge_livesum_{slot}.db" for slot in range(1, WORKERS + 1)
    }


def metrics_folder(server: Server) -> Path:
    """Return where this server's workers keep what they share."""
    environ = Path(f"/proc/{server.workers()[0]}/environ").read_bytes()
    for entry in environ.split(b"\0"):
        if entry.startswith(b"PROMETHEUS_MULTIPROC_DIR="):
            return Path(entry.partition(b"=")[2].decode())
    # Set by gunicorn.conf.py after the start: seen in what the worker has mapped.
    for line in Path(f"/proc/{server.workers()[0]}/maps").read_text().splitlines():
        if line.endswith(".db") and "metrics" in line:
            return Path(line.split()[-1]).parent
    pytest.fail("the worker has no metrics folder")


def test_the_page_works_for_names_methods_and_what_is_measured(serve: Serve) -> None:
    server = serve(workers=2)
    picked = scrape(server, "?name[]=process_cpu_seconds_total&name[]=log_records_total")
    assert picked.names() == {"process_cpu_seconds_total", "log_records_total"}
    assert scrape(server, "?name[]=nothing").names() == set()

    for number in range(5):
        Visitor(server.url).open("/items", method=f"MADEUP{number}")
    found = scrape(server)
    assert found.sum("requests_unknown_method_total") == 5
    assert found.labels("flask_http_request_total", "method") <= METHODS

    assert set(found.labels("disk_free_ratio", "path")) == {"logs", "uploads"}
    # Three processes of Python; one alone would have a third of it.
    assert found.sum("process_resident_memory_bytes") > 100_000_000
    wait_for(lambda: "scheduler_last_seen_seconds" in scrape(server).names(), 20)
    assert scrape(server).sum("scheduler_last_seen_seconds") < 15
    wait_for(lambda: "log_ship_lag_seconds" in scrape(server).names(), 20)
    assert set(scrape(server).labels("alert_firing", "rule")) >= {"error_rate"}


def test_the_runners_own_records_are_counted_too(serve: Serve) -> None:
    server = serve(workers=2)
    runner = wait_for(
        lambda: [one for pid in server.workers() for one in children_of(pid)], 20, "no runner"
    )
    wait_for(lambda: [one for one in server.records() if one["pid"] in runner], 20)
    counted = {server.process.pid, *server.workers(), *runner}
    found = settled(server)
    assert found.sum("log_records_total") == len(
        [one for one in server.records() if one["pid"] in counted]
    )
