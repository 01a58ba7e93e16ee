"""What a record takes on disk: in the file, in an archive, in each store with its indexes."""

import gzip
import tempfile
from pathlib import Path

from app.logstore.shipper import Shipper
from bench import corpus
from bench.stores import all_stores
from bench.table import Row


def run(*, quick: bool) -> list[Row]:
    """Store many records everywhere, and divide."""
    amount = 20_000 if quick else 200_000
    with all_stores() as (stores, missing), tempfile.TemporaryDirectory() as folder:
        log_dir = Path(folder)
        sizes = {"log file": corpus.fill_folder(log_dir, amount)}
        sizes["log file, gzip"] = sum(
            len(gzip.compress(path.read_bytes())) for path in log_dir.glob("app.log.*")
        )
        for store in stores:
            # What is there before any record, such as empty partitions, is no record's.
            before = store.size()
            shipper = Shipper(store.store, log_dir, backup_count=1_000)
            while shipper.ship_once():
                continue
            sizes[store.name] = store.size() - before
    return [
        *(_row(name, size / amount) for name, size in sizes.items()),
        *(Row(one, "") for one in missing),
    ]


def _row(name: str, size: float) -> Row:
    return Row(f"a record, {name}", f"{size:,.0f} bytes", f"{size:,.0f} MB per million")
