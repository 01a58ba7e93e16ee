"""How fast the runner carries lines into each store, and what that does to everybody else."""

import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from app.logstore.record import normalise
from app.logstore.shipper import Shipper
from bench import corpus, live
from bench.stores import Store, all_stores
from bench.table import Row, compared

BATCH = 2_000  # Rows of one transaction, for both.


def run(*, quick: bool) -> list[Row]:
    """Compare the shipper with each database's own bulk insert; then watch it at work."""
    amount, rounds = (5_000, 3) if quick else (20_000, 9)
    rows = []
    with all_stores() as (stores, missing), tempfile.TemporaryDirectory() as folder:
        log_dir = Path(folder)
        corpus.fill_folder(log_dir, amount)
        # As wsgi.py does, and so the runner.
        gc.freeze()
        for store in stores:
            took = [_round(store, log_dir, amount) for _ in range(rounds + 1)][1:]
            rows.append(
                compared(
                    f"shipping into {store.name}", [amount / ours for ours, _ in took],
                    f"its own {store.own_way}", [amount / theirs for _, theirs in took],
                    unit="rows/s", at_least=0.4,
                )
            )  # fmt: skip
    rows += [Row(one, "") for one in missing]
    return rows + live.run(quick=quick)


def _round(store: Store, log_dir: Path, amount: int) -> tuple[float, float]:
    """Return the seconds that the shipper took, and then those of the database's own way."""
    store.empty()
    began = time.perf_counter()
    shipped = _ship(store, log_dir)
    ours = time.perf_counter() - began
    assert shipped == amount
    records = [normalise(one) for one in _records(log_dir)]
    batches = _batches(store.prepared(records))
    store.empty()
    began = time.perf_counter()
    for batch in batches:
        store.insert(batch)
    return ours, time.perf_counter() - began


def _ship(store: Store, log_dir: Path) -> int:
    shipper = Shipper(store.store, log_dir, backup_count=1_000)
    total = 0
    while handled := shipper.ship_once():
        total += handled
    return total


def _records(log_dir: Path) -> list[Any]:
    paths = sorted(log_dir.glob("app.log.*"))
    return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def _batches(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
