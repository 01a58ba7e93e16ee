"""Archiving is killed at each point: no record is lost, none is archived twice, and it goes on."""

import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.logstore import archive
from app.logstore.contract import LogQuery
from tests.chaos import archiving
from tests.chaos.crew import CONTEXT
from tests.logstore.stores import open_store, put, sample

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
# How often each point is passed before the kill.
EVERYWHERE = {
    "in the draft": 100,
    "after the file": 0,
    "before the manifest": 0,
    "after the manifest": 0,
}
POINTS = {
    "sqlite": {**EVERYWHERE, "during delete": 1},
    "mongodb": {**EVERYWHERE, "during delete": 1},
    "postgresql": {
        **EVERYWHERE,
        "before a partition is dropped": 0,
        "before the drop is committed": 0,
        "after a partition is dropped": 0,
    },
}


class Site:
    """A store with old records of two partitions and some new ones, and what archives have."""

    def __init__(self, folder: Path, store_url: str, store: Any) -> None:
        self.log_dir = folder / "logs"
        self.store_url = store_url
        self.store = store
        self.old: set[str] = set()
        self.new = set(put(self.store, sample(NOW), sample(NOW, level="ERROR")))

    def fill(self) -> None:
        ages = (60, 50)
        records = [
            sample(NOW - timedelta(days=age, seconds=second))
            for age in ages for second in range(300)
        ]  # fmt: skip
        self.old |= set(put(self.store, *records))

    def run(self, kill_at: str = "never", kill_after: int = 0, variant: str = "") -> int | None:
        process = CONTEXT.Process(
            target=archiving.run,
            args=(self.log_dir, self.store_url, NOW, kill_at, kill_after, variant),
        )
        process.start()
        try:
            process.join(60)
            assert process.exitcode is not None, f"it goes on at {kill_at}"
            return process.exitcode
        finally:
            process.kill()
            process.join()

    def in_store(self) -> set[str]:
        return {one["id"] for one in self.store.page(LogQuery(), limit=100_000).records}

    def archived(self) -> Counter[str]:
        """Return the ids in archives that count: those with a manifest, which are all sound."""
        found: Counter[str] = Counter()
        for path in archive.archives(self.log_dir):
            if path.with_name(path.name.replace(".ndjson.gz", ".manifest.json")).exists():
                archive.verify(path)
                found.update(archive.ids(path))
        return found

    def check_nothing_is_lost(self) -> None:
        assert self.in_store() | set(self.archived()) == self.old | self.new

    def check_all_is_done(self) -> None:
        assert self.in_store() == self.new
        assert self.archived() == Counter(self.old)
        files = [one.name for one in self.log_dir.rglob("*") if one.is_file()]
        assert not [one for one in files if "draft" in one]
        assert len([one for one in files if "manifest" in one]) == len(
            archive.archives(self.log_dir)
        )


@pytest.fixture
def site(tmp_path: Path, store_url: str) -> Iterator[Site]:
    with open_store(store_url) as store:
        yield Site(tmp_path, store_url, store)


def test_a_kill_at_any_point_loses_nothing_and_the_next_run_goes_on(site: Site) -> None:
    for point, passes in POINTS[site.store_url.partition(":")[0].partition("+")[0]].items():
        site.fill()
        assert site.run(point, passes) == -signal.SIGKILL, point
        site.check_nothing_is_lost()
    assert site.run() == 0
    site.check_all_is_done()


def test_the_test_above_notices_deleting_before_archiving(site: Site) -> None:
    site.fill()
    assert site.run("in the draft", 100, "careless") == -signal.SIGKILL
    with pytest.raises(AssertionError):
        site.check_nothing_is_lost()
