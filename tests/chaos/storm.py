"""A storm: processes write and ship while they are killed and stopped and the ground moves."""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from app.logstore.contract import LogQuery
from app.observability.log_spool import rotated, segment_number
from tests.chaos.crew import ACK, CONTEXT, SHIPPER_POINTS, WRITER_POINTS, Site, ship, write
from tests.chaos.disk import Disk
from tests.chaos.oracle import Oracle
from tests.chaos.variants import SOUND
from tests.helpers import wait_for
from tests.logstore.stores import open_store
from tests.mongo_server import MongoServer
from tests.postgres_server import PostgresServer

LIMIT = 300.0


@dataclass
class Storm:
    """Run until `records` are acknowledged and every kill and other fault of the plan was had.

    It goes on until there were `least_rotations`, too.
    `weather` names what happens beside the kills: "writers stop", "clock jumps", "poison",
    "logs are copied and truncated", "logs are removed".
    """

    site: Site
    records: int = 2000
    writers: int = 3
    writer_kills: list[str] = field(default_factory=list)
    shipper_kills: list[str] = field(default_factory=list)
    weather: frozenset[str] = frozenset()
    variant: str = SOUND
    server: PostgresServer | MongoServer | None = None
    outages: int = 0
    say: Callable[[str], None] = lambda _: None
    disk: Disk | None = None
    limit: float = LIMIT
    least_rotations: int = 0
    kills: int = 0
    rotations: int = 0
    _lives: int = 0
    _crew: list[BaseProcess | None] = field(default_factory=list)
    _shipper: BaseProcess | None = None
    _last: int = 0
    _planned: int = 0
    _ordered: set[int | None] = field(default_factory=set)

    def run(self) -> list[str]:
        """Return what the oracle says against it."""
        self.blow()
        return Oracle(self.site).judge()

    def blow(self) -> None:
        """Let the storm blow and calm down: then all that can be stored is."""
        self._crew = [None] * self.writers
        self._planned = len(self.writer_kills) + len(self.shipper_kills)
        end = time.monotonic() + self.limit
        try:
            while not self._is_over():
                assert time.monotonic() < end, "the storm does not end"
                self._keep_alive()
                self._trouble()
                self._count_rotations()
            self.site.enough.touch()
            for one in self._crew:
                if one is not None:
                    one.join(60)
            self._ship_all()
        finally:
            for one in [*self._crew, self._shipper]:
                if one is not None:
                    one.kill()
                    one.join()

    @property
    def acknowledged(self) -> int:
        return sum(path.stat().st_size // ACK for path in self.site.acks.iterdir())

    def _is_over(self) -> bool:
        planned = self.writer_kills or self.shipper_kills or self.outages or self.disk
        enough = self.acknowledged >= self.records and self.rotations >= self.least_rotations
        return enough and not planned

    def _keep_alive(self) -> None:
        for index, one in enumerate(self._crew):
            if one is not None and one.exitcode is not None:
                assert one.exitcode == -signal.SIGKILL, f"a writer failed: {one.exitcode}"
                self.kills += 1
            if one is None or one.exitcode is not None:
                die = self._order(self.writer_kills)
                self._lives += 1
                life = f"{self.site.folder.name}-{self._lives}"
                self._crew[index] = self._start(
                    write, self.site, life, self.variant, die, self.weather
                )
        self._keep_shipping()

    def _keep_shipping(self) -> None:
        shipper = self._shipper
        if shipper is not None and shipper.exitcode is None:
            return
        if shipper is not None and shipper.exitcode == 0 and self.site.calm.exists():
            # It came to the end after whoever calls this had last looked.
            return
        if shipper is not None:
            assert shipper.exitcode == -signal.SIGKILL, f"the shipper failed: {shipper.exitcode}"
            self.kills += 1
        die = self._order(self.shipper_kills)
        self._shipper = self._start(ship, self.site, self.variant, die)

    def _is_due(self) -> bool:
        """Tell whether it is time for the next kill; they are spread over the storm."""
        left = len(self.writer_kills) + len(self.shipper_kills)
        return self.acknowledged >= 0.9 * self.records * (1 - left / max(self._planned, 1))

    def _kill_one(self) -> None:
        """Kill a process that has no order to kill itself, so that the next one gets it."""
        if not self._is_due():
            return
        alive = [one for one in self._crew if one is not None and one.pid not in self._ordered]
        if self.writer_kills and alive:
            random.choice(alive).kill()
        shipper = self._shipper
        if self.shipper_kills and shipper is not None and shipper.pid not in self._ordered:
            shipper.kill()

    def _order(self, points: list[str]) -> tuple[str, int] | None:
        if not points or not self._is_due():
            return None
        point = points.pop()
        return point, random.randrange(*_passes(point))

    def _start(self, work: Callable[..., None], *args: object) -> BaseProcess:
        process = CONTEXT.Process(target=work, args=args, daemon=True)
        process.start()
        if any(isinstance(one, tuple) for one in args):
            self._ordered.add(process.pid)
        return process

    def _trouble(self) -> None:
        if "writers stop" in self.weather and random.random() < 0.5:
            self._stop_one()
        if "logs are copied and truncated" in self.weather:
            self._copy_and_truncate()
        if "logs are removed" in self.weather and self._halfway():
            self.weather -= {"logs are removed"}
            self._remove_logs()
        if self.disk is not None and self._halfway():
            self._trouble_the_disk(self.disk)
            self.disk = None
        if self.server is not None and self.outages and self._halfway(1 + self.outages):
            self.say(f"{self.acknowledged:,} records: the store is stopped and started")
            self.outages -= 1
            self.server.stop()
            self.server.start()
        self._kill_one()
        time.sleep(0.01)

    def _halfway(self, parts: int = 2) -> bool:
        return self.acknowledged >= self.records / parts

    def _stop_one(self) -> None:
        """Stop a writer, wherever it is, for two rotations of the others."""
        one = random.choice(self._crew)
        if one is None or one.pid is None or one.exitcode is not None:
            return
        before, end = self._newest(), time.monotonic() + 0.3
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGSTOP)
            while self._newest() < before + 2 and time.monotonic() < end:
                time.sleep(0.005)
            os.kill(one.pid, signal.SIGCONT)

    def _copy_and_truncate(self) -> None:
        """Do as logrotate's copytruncate does, with writers that wait: what comes in between its
        two steps is lost by its own account."""
        number = len(list(self.site.log_dir.glob("app.log-2*")))
        if random.random() > 0.2 or number > 10:
            return
        active = self.site.log_dir / "app.log"
        running = [one.pid for one in self._crew if one is not None and one.exitcode is None]
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            for pid in running:
                os.kill(pid or 0, signal.SIGSTOP)
            # The signal is sent, and comes a moment later.
            wait_for(lambda: all(_stands_still(pid) for pid in running))
            shutil.copyfile(active, self.site.log_dir / f"app.log-20260101-{number}")
            os.truncate(active, 0)
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid or 0, signal.SIGCONT)

    def _remove_logs(self) -> None:
        # The runner has seen this app.log; a younger one takes its lines with it.
        with open_store(self.site.store_url, ready=False) as store:
            wait_for(lambda: self._keep_alive() or store.page(LogQuery(), None, 1).records, 60)
        # Some lines are to be on their way: the shipper stands still for a moment.
        self._signal_shipper(signal.SIGSTOP)
        before = self.acknowledged
        wait_for(lambda: self._keep_alive() or self.acknowledged > before + 30, 60)
        with contextlib.suppress(OSError):
            shutil.rmtree(self.site.log_dir)
        self._signal_shipper(signal.SIGCONT)

    def _trouble_the_disk(self, disk: Disk) -> None:
        """Let it refuse lines for a while; changes go on, their records stand in the outbox."""
        everybody = [one for one in [*self._crew, self._shipper] if one is not None]
        if "disk is full" in self.weather:
            # The shipper would make room: it stands still until something was refused.
            self._signal_shipper(signal.SIGSTOP)
            disk.fill()
        else:
            # Nobody may have a file open there: everybody is killed, and begins anew.
            for one in everybody:
                one.kill()
                one.join()
            disk.turn("ro")
        for _ in range(2):
            before = self.acknowledged
            wait_for(lambda: self._keep_alive() or self.acknowledged > before + 30, 60)  # noqa: B023
            self._signal_shipper(signal.SIGCONT)
        disk.turn("rw")
        disk.free()

    def _signal_shipper(self, number: int) -> None:
        if self._shipper is not None and self._shipper.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._shipper.pid, number)

    @property
    def lost(self) -> int:
        """How many records the processes that lived to their end counted as lost."""
        return sum(int(path.read_text().split()[1]) for path in self.site.account.iterdir())

    def _newest(self) -> int:
        found = rotated(self.site.log_dir / "app.log")
        return segment_number(found[-1]) if found else 0

    def _count_rotations(self) -> None:
        newest = self._newest()
        self.rotations += max(newest - self._last, 0)
        self._last = max(newest, self._last)

    def _ship_all(self) -> None:
        """Let the shipper come to the end."""
        self.site.calm.touch()
        end = time.monotonic() + self.limit
        while self._shipper is None or self._shipper.exitcode != 0:
            assert time.monotonic() < end, "the shipper does not come to an end"
            self._keep_shipping()
            time.sleep(0.01)


def _stands_still(pid: int | None) -> bool:
    """Tell whether a process is stopped, or no more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "TZ"


def _passes(point: str) -> tuple[int, int]:
    """How many calls may come before the kill."""
    assert point in WRITER_POINTS or point in SHIPPER_POINTS
    return (20, 200) if point == "in mid-write" else (0, 2)
