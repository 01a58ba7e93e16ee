import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask, current_app
from limits import parse
from limits.storage import RedisStorage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.exc import OperationalError

from app.extensions import db
from app.models.rate_limit import RateLimit
from app.models.types import utc_now
from app.services.rate_limits import PURGE_EVERY, DatabaseStorage
from config import ConfigError
from tests.helpers import ROOT, SECRET_KEY, wait_for

MakeApp = Callable[..., Flask]

# One process of several: wait for the start, hit one counter, say which values it got.
HAMMER = """
import json, sys, time
from pathlib import Path
from app import create_app
from app.services.rate_limits import DatabaseStorage

settings, ready, go, hits = json.loads(sys.argv[1])
app = create_app(settings)
with app.app_context():
    storage = DatabaseStorage()
    storage.check()
    Path(ready).touch()
    while not Path(go).exists():
        time.sleep(0.005)
    print(json.dumps([storage.incr("shared", 600) for _ in range(hits)]))
"""


@pytest.fixture
def storage(make_app: MakeApp, database_url: str) -> Iterator[DatabaseStorage]:
    app = make_app(DATABASE_URL=database_url)
    with app.app_context():
        yield DatabaseStorage()


def rows() -> int:
    with db.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(RateLimit)).scalar_one()


def add_expired(count: int) -> None:
    old = utc_now() - timedelta(seconds=1)
    values = [{"key": f"old-{i}", "hits": 1, "expires_at": old} for i in range(count)]
    with db.engine.begin() as connection:
        connection.execute(insert(RateLimit), values)


def test_the_scheme_database_means_this_storage() -> None:
    assert isinstance(storage_from_string("database://"), DatabaseStorage)


def test_a_redis_server_that_is_not_there_stops_no_start(
    make_app: MakeApp,
) -> None:
    app = make_app(RATE_LIMIT_STORAGE_URL="redis://127.0.0.1:1/0")
    assert isinstance(app.extensions["rate_limiter"].storage, RedisStorage)
    assert not app.extensions["rate_limiter"].storage.check()


def test_an_address_that_no_client_can_use_is_refused_in_one_line(make_app: MakeApp) -> None:
    with pytest.raises(ConfigError, match=r"^RATE_LIMIT_STORAGE_URL: .+\.$") as refused:
        make_app(RATE_LIMIT_STORAGE_URL="redis://:hunter2@host:port")
    assert "hunter2" not in str(refused.value)


def test_a_counter_counts(storage: DatabaseStorage) -> None:
    assert [storage.incr("a", 60), storage.incr("a", 60), storage.incr("b", 60, 5)] == [1, 2, 5]
    assert [storage.get("a"), storage.get("b"), storage.get("c")] == [2, 5, 0]


def test_a_window_ends_after_its_time_and_a_new_one_begins(storage: DatabaseStorage) -> None:
    storage.incr("a", 0.2, 7)
    wait_for(lambda: storage.get("a") == 0)
    assert storage.incr("a", 60) == 1
    assert storage.get_expiry("a") > time.time() + 50


def test_later_hits_do_not_lengthen_the_window(storage: DatabaseStorage) -> None:
    storage.incr("a", 60)
    end = storage.get_expiry("a")
    storage.incr("a", 600)
    assert storage.get_expiry("a") == end
    assert end == pytest.approx(time.time() + 60, abs=5)


def test_what_is_given_back_can_be_taken_again_but_leaves_no_credit(
    storage: DatabaseStorage,
) -> None:
    storage.incr("a", 60, 3)
    assert storage.incr("a", 60, -1) == 2
    assert storage.incr("late", 60, -1) == 0
    assert storage.incr("late", 60) == 1


def test_a_cleared_counter_starts_anew_and_others_stay(storage: DatabaseStorage) -> None:
    storage.incr("a", 60)
    storage.incr("b", 60)
    storage.clear("a")
    assert (storage.get("a"), storage.get("b")) == (0, 1)


def test_a_reset_forgets_all_counters(storage: DatabaseStorage) -> None:
    storage.incr("a", 60)
    storage.incr("b", 60)
    assert storage.reset() == 2
    assert rows() == 0


@pytest.mark.parametrize("key", ["", "x" * 10_000, "a\0b", "a\ud800b", "ä/{}%s'--"])
def test_any_text_is_a_key(storage: DatabaseStorage, key: str) -> None:
    assert [storage.incr(key, 60), storage.incr(key, 60)] == [1, 2]


def test_keys_are_not_readable_in_the_table(storage: DatabaseStorage) -> None:
    storage.incr("login/ann@example.com", 60)
    with db.engine.connect() as connection:
        key = connection.execute(select(RateLimit.key)).scalar_one()
    assert len(key) == 64
    assert int(key, 16)


def test_a_hit_stays_when_the_caller_rolls_back(storage: DatabaseStorage) -> None:
    db.session.execute(select(RateLimit)).all()
    storage.incr("a", 60)
    db.session.rollback()
    assert storage.get("a") == 1


def test_what_the_caller_has_not_committed_is_not_committed_by_a_hit(
    storage: DatabaseStorage,
) -> None:
    db.session.add(RateLimit(key="mine", hits=1, expires_at=utc_now() + timedelta(minutes=1)))
    storage.incr("a", 60)
    db.session.rollback()
    assert rows() == 1


def test_a_fixed_window_admits_exactly_its_limit(storage: DatabaseStorage) -> None:
    limiter = FixedWindowRateLimiter(storage)
    limit = parse("5 per minute")
    assert [limiter.hit(limit, "a") for _ in range(8)] == [True] * 5 + [False] * 3


def test_a_purge_removes_expired_rows_in_slices_and_keeps_the_others(
    storage: DatabaseStorage,
) -> None:
    add_expired(5)
    storage.incr("alive", 60)
    assert [storage.purge(limit=3), storage.purge(limit=3), storage.purge(limit=3)] == [3, 2, 0]
    assert storage.get("alive") == 1


def test_a_purge_neither_waits_for_nor_removes_a_row_that_a_hit_revives(
    make_app: MakeApp, postgres_url: str
) -> None:
    # On PostgreSQL only: SQLite has one writer at a time.
    app = make_app(DATABASE_URL=postgres_url)
    removed: list[int] = []

    def purge() -> None:
        with app.app_context():
            removed.append(DatabaseStorage().purge())

    with app.app_context():
        add_expired(2)
        revive = update(RateLimit).where(RateLimit.key == "old-0")
        with db.engine.begin() as hit:
            hit.execute(revive.values(expires_at=utc_now() + timedelta(minutes=1)))
            thread = threading.Thread(target=purge)
            thread.start()
            thread.join(10)
            waited = thread.is_alive()
        thread.join()
        assert not waited
        assert removed == [1]
        assert rows() == 1


def test_expired_rows_go_now_and_then_by_themselves(storage: DatabaseStorage) -> None:
    add_expired(120)
    for _ in range(PURGE_EVERY):
        storage.incr("alive", 60)
    assert rows() == 1


def test_a_purge_that_fails_loses_no_hit(
    storage: DatabaseStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(limit: int = 0) -> int:
        raise OperationalError("DELETE", {}, Exception("locked"))

    monkeypatch.setattr(storage, "purge", fail)
    values = [storage.incr("a", 60) for _ in range(PURGE_EVERY)]
    assert values == list(range(1, PURGE_EVERY + 1))


def test_a_storage_whose_table_is_missing_says_so(storage: DatabaseStorage) -> None:
    assert storage.check() is True
    RateLimit.__table__.drop(db.engine)
    assert storage.check() is False


def test_every_call_gives_its_connection_back(storage: DatabaseStorage) -> None:
    out: list[int] = []
    event.listen(db.engine, "checkout", lambda *_: out.append(1))
    event.listen(db.engine, "checkin", lambda *_: out.append(-1))
    for _ in range(20):
        storage.incr("a", 60)
        storage.get("a")
        storage.purge()
    assert len(out) == 120
    assert sum(out) == 0


def test_threads_of_one_process_count_exactly(storage: DatabaseStorage) -> None:
    values: list[int] = []
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def hit() -> None:
        with app.app_context():
            values.extend(storage.incr("a", 60) for _ in range(40))

    threads = [threading.Thread(target=hit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values) == list(range(1, 241))


def test_several_processes_that_hammer_one_database_count_exactly(
    make_app: MakeApp, database_url: str, tmp_path: Path
) -> None:
    make_app(DATABASE_URL=database_url)
    settings = {
        "APP_ENV": "testing",
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_URL": database_url,
        "LOG_DIR": str(tmp_path / "logs"),
    }
    go = tmp_path / "go"
    started = []
    for number in range(4):
        ready = tmp_path / f"ready-{number}"
        arguments = json.dumps([settings, str(ready), str(go), 60])
        process = subprocess.Popen(
            [sys.executable, "-c", HAMMER, arguments], cwd=ROOT, stdout=subprocess.PIPE
        )
        started.append((process, ready))
    try:
        wait_for(lambda: all(ready.exists() for _, ready in started), 60)
        go.touch()
        values = [value for process, _ in started for value in json.loads(output_of(process))]
    finally:
        for process, _ in started:
            process.kill()
            process.wait()
    assert sorted(values) == list(range(1, 241))


def output_of(process: "subprocess.Popen[bytes]") -> bytes:
    return process.communicate(timeout=120)[0]
