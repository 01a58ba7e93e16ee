import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.scheduler.status import FILE_NAME, RunnerStatus, read_status, write_status

NOW = datetime.now(UTC)


def status(**fields: object) -> RunnerStatus:
    return RunnerStatus(**{"pid": 7, "started_at": NOW, "seen_at": NOW, **fields})  # type: ignore[arg-type]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    told = status(
        lag_seconds=0.5, unshipped_bytes=10, shipped_through=3, store_error="down", dropped=2,
        jobs={"check_error_rate": {"ok": True}},
    )  # fmt: skip
    write_status(tmp_path, told)
    assert read_status(tmp_path) == told
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "null", '{"pid": 1}', '{"pid": 1, "started_at": 5}', "\xff"]
)
def test_a_file_that_says_nothing_is_no_status(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_text(content, "latin-1")
    assert read_status(tmp_path) is None


def test_fields_of_a_newer_version_are_left_aside(tmp_path: Path) -> None:
    write_status(tmp_path, status())
    data = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps({**data, "new_field": 1}))
    assert read_status(tmp_path) == status()


@pytest.mark.parametrize(("seconds", "alive"), [(0, True), (9, True), (11, False)])
def test_a_runner_seen_within_ten_seconds_is_alive(seconds: int, alive: bool) -> None:
    assert status(seen_at=datetime.now(UTC) - timedelta(seconds=seconds)).alive is alive


def test_a_reader_never_sees_half_a_status(tmp_path: Path) -> None:
    write_status(tmp_path, status())
    done = threading.Event()

    def write() -> None:
        for size in range(300):
            write_status(tmp_path, status(store_error="x" * 50 * size))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not done.is_set():
            assert read_status(tmp_path) is not None
    finally:
        writer.join()
