"""The long run: `make chaos ARGS="--records 1000000 --store postgresql"`, or with --serving 20."""

import argparse
import itertools
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.crew import SHIPPER_POINTS, WRITER_POINTS, Site
from tests.chaos.oracle import Oracle
from tests.chaos.serving import WEATHER, blow, troubled_site
from tests.chaos.storm import Storm
from tests.mongo_server import MongoServer
from tests.postgres_server import PostgresServer

# What is rotated away before the runner saw it goes with the logs when somebody removes them.
SITES = {"without rotations": ("100000000", ""), "with rotations": ("16384", "logs are removed")}


def main() -> int:
    """Run a storm and report it; the exit code is 0 when nothing was lost or doubled."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    started = time.monotonic()
    try:
        if options.serving:
            return sum(_serve(options, folder / one, one) for one in SITES)
        with _store(options.store, folder) as (url, server):
            storm = _storm(options, folder, url, server)
            return _report(storm, options.outages if server else 0, started)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rotations", type=int, default=100)
    parser.add_argument("--outages", type=int, default=3, help="of the store; none on sqlite")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument(
        "--store", choices=["sqlite", "postgresql", "mongodb"], default="postgresql"
    )
    parser.add_argument(
        "--serving", type=int, metavar="ROUNDS", default=0,
        help="instead: a gunicorn under load, for this many rounds of everything that can happen",
    )  # fmt: skip
    return parser.parse_args()


@contextmanager
def _store(kind: str, folder: Path) -> Iterator[tuple[str, Any]]:
    """Give the address of a store, and its server if it has one."""
    folder.mkdir(exist_ok=True)
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'logs.db'}", None
        return
    server = MongoServer() if kind == "mongodb" else PostgresServer()
    try:
        server.start()
        if isinstance(server, MongoServer):
            yield server.url("chaos"), server
        else:
            yield f"{server.url}/postgres".replace("postgresql:", "postgresql+psycopg:"), server
    finally:
        server.remove()


def _storm(options: argparse.Namespace, folder: Path, url: str, server: Any) -> Storm:
    # About 350 bytes a record: the segments are as small as the rotations need, and a tenth more.
    size = options.records * 350 // max(options.rotations * 11 // 10, 1)
    site = Site(folder / "site", url, f"sqlite:///{folder / 'app.db'}", max_bytes=max(size, 4096))
    site.prepare()
    # Most of these follow a kill at any moment, so fewer will do.
    writer_kills, shipper_kills = (
        list(itertools.islice(itertools.cycle(points), count))
        for points, count in (
            (WRITER_POINTS, -(-2 * options.kills // 5)), (SHIPPER_POINTS, -(-options.kills // 5)),
        )
    )  # fmt: skip
    random.shuffle(writer_kills)
    random.shuffle(shipper_kills)
    storm = Storm(
        site, options.records, options.writers, writer_kills, shipper_kills,
        weather=frozenset({"writers stop", "clock jumps", "poison"}),
        server=server, outages=options.outages if server else 0, say=_say, limit=6 * 3600,
    )  # fmt: skip
    storm.blow()
    return storm


def _serve(options: argparse.Namespace, folder: Path, name: str) -> int:
    """Serve through rounds of everything, each in another order; return 1 if something is wrong."""
    max_bytes, never = SITES[name]
    weather = [one for one in WEATHER if one != never] * options.serving
    random.shuffle(weather)
    with (
        _store(options.store, folder) as (url, server),
        troubled_site(folder, url, server, LOG_FILE_MAX_BYTES=max_bytes) as site,
    ):
        faults = blow(site, weather)
        for fault in faults:
            _say(f"FAULT: {fault}")
        _say(
            f"{name}: {len(site.load.answered):,} requests answered under {len(weather)} troubles: "
            f"{site.lost} of their records lost, {len(faults)} faults"
        )
    return 1 if faults else 0


def _report(storm: Storm, outages: int, started: float) -> int:
    _say("the storm is over: every record is read back")
    oracle = Oracle(storm.site)
    faults = oracle.judge()
    for fault in faults:
        _say(f"FAULT: {fault}")
    stored = sum(len(numbers) for numbers in oracle.stored.values())
    _say(
        f"{storm.acknowledged:,} records acknowledged ({stored:,} stored, "
        f"{sum(oracle.told.values()):,} of them committed changes), {storm.kills} kills, "
        f"{storm.rotations} rotations, {outages} outages: {oracle.lost} lost, "
        f"{oracle.doubled} doubled, {len(faults)} faults; {time.monotonic() - started:.0f} s"
    )
    return 1 if faults else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
