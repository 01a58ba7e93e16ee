import gzip
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.logstore import archive
from app.logstore.archive import ArchiveBroken, archives, ids, read_manifest, tidy, verify, write
from app.logstore.record import normalise
from tests.logstore.stores import sample

NOON = datetime(2026, 10, 31, 12, tzinfo=UTC)


def record(second: int = 0, **fields: Any) -> dict[str, Any]:
    at = NOON + timedelta(seconds=second)
    return {**normalise(sample(at, **fields)), "source": "s", "seq": second}


def written(folder: Path, *records: dict[str, Any]) -> Path:
    made = write(folder, records or [record(0), record(1, message="größe\u2028"), record(90)])
    assert made is not None
    return made[0]


def test_an_archive_is_a_gzip_of_json_lines_with_a_manifest(tmp_path: Path) -> None:
    records = [record(0), record(1, details={"a": [1.5, None]}), record(90)]
    path = written(tmp_path, *records)
    assert path == tmp_path / "2026/10/info-20261031T120000-20261031T120130.ndjson.gz"
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [{**dict.fromkeys(records[0]), **line} for line in lines] == records
    manifest = json.loads(manifest_of(path).read_bytes())
    assert manifest["file"] == path.name
    assert (manifest["keep"], manifest["count"], manifest["bytes"]) == (
        "info", 3, path.stat().st_size,
    )  # fmt: skip
    assert (manifest["first_id"], manifest["last_timestamp"]) == (
        records[0]["id"], records[-1]["timestamp"],
    )  # fmt: skip
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert verify(path) == read_manifest(path)
    assert list(ids(path)) == [one["id"] for one in records]


def test_nothing_makes_no_archive_and_a_name_is_never_given_twice(tmp_path: Path) -> None:
    assert write(tmp_path, []) is None
    assert archives(tmp_path) == []
    paths = [written(tmp_path, record(0)) for _ in range(3)]
    assert archives(tmp_path) == sorted(paths)
    assert len(set(paths)) == 3


@pytest.mark.parametrize("records", [(1, 0), (0, 0)])
def test_records_out_of_order_are_refused_and_leave_nothing(
    tmp_path: Path, records: tuple[int, int]
) -> None:
    same = {second: record(second) for second in (0, 1)}
    with pytest.raises(ValueError, match="out of order"):
        write(tmp_path, [same[second] for second in records])
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def manifest_of(path: Path) -> Path:
    return path.with_name(path.name.replace(".ndjson.gz", ".manifest.json"))


def repack(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a flipped bit": lambda path: rewrite(path, lambda old: old[:60] + b"\x5a" + old[61:]),
    "a cut end": lambda path: rewrite(path, lambda old: old[:-5]),
    "bytes behind its end": lambda path: rewrite(path, lambda old: old + b"\0"),
    "no content": lambda path: path.write_bytes(b""),
    "a record less": lambda path: repack(path, lambda old: old[: old.find(b"\n") + 1]),
    "a line that is no JSON": lambda path: repack(path, lambda old: old + b"{\n"),
    "a line that is no record": lambda path: repack(path, lambda old: old + b"[]\n"),
    "another message": lambda path: repack(path, lambda old: old.replace(b"sample", b"simple")),
    "no file": Path.unlink,
    "no manifest": lambda path: manifest_of(path).unlink(),
    "an empty manifest": lambda path: manifest_of(path).write_text("{}"),
    "another time": lambda path: rewrite(
        manifest_of(path), lambda old: old.replace(b"12:00", b"11:00")
    ),
    "another count": lambda path: rewrite(
        manifest_of(path), lambda old: old.replace(b": 3,", b": 4,")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_found(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path)
    verify(path)
    DAMAGES[damage](path)
    with pytest.raises(ArchiveBroken, match=r"^\S+\.ndjson\.gz: "):
        verify(path)
    assert archives(tmp_path) == [path]


def test_what_a_killed_run_left_is_completed_or_removed(tmp_path: Path) -> None:
    path, other = written(tmp_path, record(0)), written(tmp_path, record(1))
    manifest = manifest_of(path)
    said = manifest.read_bytes()
    manifest.unlink()
    (path.parent / ".draft-1").write_bytes(b"half")
    (tmp_path / "2025" / "01").mkdir(parents=True)
    tidy(tmp_path)
    assert manifest.read_bytes() == said
    assert archives(tmp_path) == sorted([path, other])
    assert not list(tmp_path.rglob(".draft-*"))
    assert not (tmp_path / "2025").exists()


def test_a_disk_that_does_not_keep_what_was_written_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = archive._sync
    monkeypatch.setattr(
        archive, "_sync", lambda *paths: (DAMAGES["a record less"](archives(tmp_path)[0]), synced())
    )
    with pytest.raises(ArchiveBroken, match="what was read back"):
        written(tmp_path)
    with pytest.raises(ArchiveBroken, match="no manifest"):
        verify(archives(tmp_path)[0])
