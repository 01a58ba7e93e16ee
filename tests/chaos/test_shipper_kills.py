"""The shipper is killed again and again: nothing is lost, nothing is stored twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, text

from app.logstore.shipper import Shipper
from app.models.outbox import OutboxRecord
from tests.helpers import ROOT, wait_for
from tests.logstore.stores import everything, line, open_engine, open_store, sample, write_lines

# How often each point is passed before the kill.
POINTS = {
    "between records and checkpoint": 1,
    "before the commit": 1,
    "after the commit": 1,
    "before the outbox is emptied": 0,
    "before noting what is shipped": 0,
    "before pruning": 0,
    "before a checkpoint is forgotten": 0,
}


class Site:
    """A log folder, a store and an outbox that fill up while shippers come and go."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.log_dir = folder / "logs"
        self.store_url = store_url
        # Makes the tables.
        with open_store(store_url):
            pass
        self.database_url = f"sqlite:///{folder / 'outbox.db'}"
        self.database = open_engine(self.database_url)
        self.said: list[str] = []
        self.segments = 0

    def say(self, count: int) -> None:
        """Write lines, some of them operations that stand in the outbox as well, and rotate."""
        records = [sample(message=f"m{len(self.said) + index}") for index in range(count)]
        self.said += [one["message"] for one in records]
        with self.database.begin() as connection:
            table = OutboxRecord.__table__
            connection.execute(insert(table), [
                {"id": one["id"], "record": line(one).decode(), "created_at": datetime.now(UTC)}
                for one in records[::7]
            ])  # fmt: skip
        # A kill between commit and line: the record stands in the outbox only.
        write_lines(self.log_dir / "app.log", *records[1:])
        self.segments += 1
        (self.log_dir / "app.log").rename(self.log_dir / f"app.log.{self.segments:06d}")

    def start(self, kill_at: str = "never", kill_after: int = 0) -> subprocess.Popen[bytes]:
        command = [sys.executable, ROOT / "tests/chaos/shipping.py", self.log_dir, self.store_url]
        return subprocess.Popen(
            [*command, self.database_url, kill_at, str(kill_after)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def check(self) -> None:
        with open_store(self.store_url) as store:
            shipper = Shipper(store, self.log_dir, self.database, backup_count=1)
            while shipper.ship_once():
                continue
            assert Counter(one["message"] for one in everything(store)) == Counter(self.said)
        assert waiting(self.database) == 0
        assert shipper.unshipped_bytes == 0


def waiting(database: Engine) -> int:
    with database.connect() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM outbox")) or 0)


@pytest.fixture
def site(tmp_path: Path, store_url: str) -> Site:
    return Site(tmp_path, store_url)


def test_a_kill_at_any_point_loses_and_doubles_nothing(site: Site) -> None:
    for point, passes in POINTS.items():
        for _ in range(3):
            site.say(700)
        process = site.start(point, passes)
        try:
            wait_for(lambda process=process: process.poll() is not None, 30, f"not killed {point}")
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL
    site.check()


def test_kills_at_random_moments_lose_and_double_nothing(site: Site) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(8):
        site.say(1500)
        site.say(100)
        process = site.start()
        # The moment is the point of this test: it is random, and any may come.
        time.sleep(chance.uniform(0.3, 1.2))
        process.kill()
        process.wait()
    print(f"seed {seed}")
    site.check()
