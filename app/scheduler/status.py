"""What the runner leaves for others to read: one small JSON file in LOG_DIR."""

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FILE_NAME = "runner.json"
# The runner writes once a second; a busy disk or a stopped process may skip a few.
_SILENCE = timedelta(seconds=10)


@dataclass(frozen=True)
class RunnerStatus:
    """Tell who the runner is, when it was last seen and how far it is behind.

    `shipped_through` is the number of the last segment that is in the store with all before
    it. `dropped` counts lines deleted unshipped since LOG_DIR was made; since the runner began,
    `refused` counts records that the store took in no form and `torn` fragments of lines. `jobs`
    maps a job's name to its last run: `started_at`, `duration_ms`, `ok` and `request_id`.
    """

    pid: int
    started_at: datetime
    seen_at: datetime
    lag_seconds: float | None = None
    unshipped_bytes: int = 0
    shipped_through: int = 0
    store_error: str | None = None
    dropped: int = 0
    refused: int = 0
    torn: int = 0
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return datetime.now(UTC) - self.seen_at < _SILENCE


def write_status(log_dir: Path, status: RunnerStatus) -> None:
    """Replace the status in one step, so that a reader never sees half of it."""
    draft = log_dir / f".{FILE_NAME}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(status), default=datetime.isoformat))
    draft.replace(log_dir / FILE_NAME)


def read_status(log_dir: Path) -> RunnerStatus | None:
    """Return what the last runner of this LOG_DIR said, or None if there is nothing to read."""
    try:
        data = json.loads((log_dir / FILE_NAME).read_text())
        known = {name: data[name] for name in RunnerStatus.__dataclass_fields__ if name in data}
        for name in ("started_at", "seen_at"):
            known[name] = datetime.fromisoformat(known[name])
        return RunnerStatus(**known)
    except (OSError, ValueError, TypeError, KeyError):
        return None
