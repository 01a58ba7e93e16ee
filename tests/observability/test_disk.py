import shutil
from pathlib import Path

import pytest

from app.observability.disk import free_ratio


def test_a_disk_is_measured_by_what_its_users_may_still_write() -> None:
    usage = shutil.disk_usage("/")
    assert free_ratio(Path("/")) == pytest.approx(usage.free / usage.total, abs=0.05)


def test_a_folder_that_is_not_there_yet_counts_with_the_disk_it_will_be_on(tmp_path: Path) -> None:
    assert free_ratio(tmp_path / "a" / "b") == pytest.approx(free_ratio(tmp_path), abs=0.01)
