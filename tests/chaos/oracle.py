"""The oracle: what must hold after any storm, and what does not."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app.logstore.contract import LogQuery, Page
from tests.chaos.crew import ACK, Site
from tests.logstore.stores import open_engine, open_store


class Oracle:
    """Compares what was acknowledged and committed with what several sites' one store has."""

    def __init__(self, *sites: Site) -> None:
        self._sites = sites
        # Life of a process -> how often each of its numbers is stored.
        self.stored: dict[str, Counter[int]] = {}
        self.told: Counter[str] = Counter()
        self.faults: list[str] = []
        self.lost = self.doubled = 0

    def judge(self) -> list[str]:
        """Return what is wrong, nothing when all is well."""
        with open_store(self._sites[0].store_url) as store:
            self._read(store)
            if wrong := store.recount(check=True).wrong:
                self.faults.append(f"{wrong} counts differ from a recount")
        for site in self._sites:
            self._compare_acknowledged(site.acks)
            self._compare_losses(site.account)
        self._compare_changes()
        return self.faults

    def _read(self, store: Any) -> None:
        newest: dict[str, int] = {}
        for record in _records(store):
            details = record["details"]
            if record["action"] == "item_update" and record["outcome"] == "success":
                self.told[record["target_id"]] += 1
            if "life" not in details:
                continue
            life, number = details["life"], details["number"]
            self.stored.setdefault(life, Counter())[number] += 1
            # They come by id, newest first: one process numbers and identifies in one order.
            if number > newest.get(life, number):
                self.faults.append(f"{life}: {number} has an id that is not in order")
            newest[life] = number

    def _compare_acknowledged(self, acks: Path) -> None:
        for path in acks.iterdir():
            data = path.read_bytes()
            whole = data[: len(data) // ACK * ACK]
            stored = self.stored.get(path.name, Counter())
            self.lost += sum(not stored[int(number)] for number in whole.split())
            self.doubled += sum(times > 1 for times in stored.values())
        if self.lost:
            self.faults.append(f"{self.lost} acknowledged records are lost")
        if self.doubled:
            self.faults.append(f"{self.doubled} records are stored more than once")

    def _compare_losses(self, account: Path) -> None:
        """What a process that lived to its end counted as lost is what is missing."""
        for path in account.iterdir():
            written, lost = map(int, path.read_text().split())
            missing = written - len(self.stored.get(path.name, ()))
            if missing != lost:
                self.faults.append(f"{path.name}: {missing} records are missing, {lost} counted")

    def _compare_changes(self) -> None:
        committed: set[str] = set()
        for url in {site.database_url for site in self._sites}:
            engine = open_engine(url)
            with engine.connect() as connection:
                committed |= set(connection.scalars(text("SELECT key FROM rate_limits")))
                if waiting := connection.scalar(text("SELECT count(*) FROM outbox")):
                    self.faults.append(f"{waiting} rows wait in the outbox")
            engine.dispose()
        if missing := committed - set(self.told):
            self.faults.append(f"{len(missing)} committed changes have no record")
        if untrue := set(self.told) - committed:
            self.faults.append(f"{len(untrue)} records tell of changes that are not there")
        if twice := sum(times > 1 for times in self.told.values()):
            self.faults.append(f"{twice} changes have more than one record")


def _records(store: Any) -> Iterator[dict[str, Any]]:
    page = Page([], "the first")
    while page.next:
        page = store.page(LogQuery(), page.next, 1000)
        yield from page.records
