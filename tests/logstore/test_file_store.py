import gzip
import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.logstore.contract import LogQuery
from app.logstore.file_store import STDIN, FileStore, FileUnreadable
from tests.logstore.filtered import FILTERED, FILTERS
from tests.logstore.stores import line, sample, write_lines
from tests.logstore.test_segments import read_all

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def messages(found: list[dict[str, Any]]) -> list[str]:
    return [one["message"] for one in found]


def test_a_file_gives_the_records_that_the_stores_give(path: Path) -> None:
    write_lines(path, *FILTERED[::-1])
    files = FileStore([str(path)])
    for query, found in FILTERS:
        assert "".join(messages(files.page(query).records[::-1])) == found, query
        assert "".join(messages(files.after(query)[0])) == found, query
        newer = files.newer(query, "00000000-0000-7000-8000-000000000000")
        assert "".join(messages(newer)) == found, query
        counted = sorted(value for value, _ in files.count_by(query, "message"))
        assert "".join(counted) == found, query


def test_pages_follow_one_another_and_a_record_in_two_files_is_one(path: Path) -> None:
    records = [sample(NOW + timedelta(seconds=i % 9), message=str(i)) for i in range(25)]
    write_lines(path, *records[:15])
    write_lines(path.with_suffix(".1"), *records[10:])
    files = FileStore([str(path), str(path.with_suffix(".1"))])
    seen: list[str] = []
    before = None
    for _ in range(3):
        page = files.page(LogQuery(), before, 10)
        seen += [one["id"] for one in page.records]
        before = page.next
    assert before is None
    assert seen == sorted((one["id"] for one in records), reverse=True)
    assert files.count_by(LogQuery(), "level") == [("INFO", 25)]
    assert len(list(files.records(LogQuery()))) == 25


def test_groups_are_those_of_the_store(path: Path) -> None:
    failure = {"level": "ERROR", "exception": {"type": "KeyError"}, "details": {"place": "a.py:1"}}
    write_lines(path, sample(NOW, **failure), sample(NOW, **failure), sample(NOW))
    groups = FileStore([str(path)]).group_by(LogQuery(), ["exception.type", "details.place"])
    assert [(one.values, one.count) for one in groups] == [(("KeyError", "a.py:1"), 2),
                                                           ((None, None), 1)]  # fmt: skip
    assert groups[0].last_seen == NOW
    with pytest.raises(ValueError, match="no field"):
        FileStore([str(path)]).count_by(LogQuery(), "nonsense")


def test_torn_and_foreign_lines_are_what_the_shipper_makes_of_them(path: Path) -> None:
    whole = line(sample(message="whole"))
    path.write_bytes(b'{"level": "INFO", "message": "foreign"}\n' + whole[:60] + whole + b"\nrest")
    shipped = read_all(path, whole=True)
    found = FileStore([str(path)]).page(LogQuery()).records
    assert sorted(one["id"] for one in found) == sorted(one["id"] for one in shipped)
    assert sorted(messages(found)) == ["Torn log line", "Torn log line", "foreign", "whole"]


def test_gzip_and_standard_input_are_read_as_well(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = sample(message="zipped")
    path.write_bytes(gzip.compress(line(record)))
    told: list[int] = []
    files = FileStore([str(path), STDIN], told.append)
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(line(sample(message="piped")))))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert sorted(messages(files.page(LogQuery()).records)) == ["piped", "zipped"]
    assert told[-1] == path.stat().st_size
    assert not stdin.buffer.closed
    found = FileStore([str(path)]).get(record["id"])
    assert found is not None
    assert found["message"] == "zipped"


def test_a_pattern_that_the_shell_left_alone_is_said_in_plain_words(tmp_path: Path) -> None:
    pattern = str(tmp_path / "archive" / "*" / "*.gz")
    with pytest.raises(FileUnreadable) as refused:
        FileStore([pattern]).page(LogQuery())
    assert str(refused.value) == f"{pattern}: there is no such file yet"


@pytest.mark.parametrize("damage", ["absent", "folder", "cut", "bad"])
def test_a_file_that_cannot_be_read_is_named(path: Path, damage: str) -> None:
    content = gzip.compress(b"".join(line(sample()) for _ in range(50)))
    if damage == "folder":
        path.mkdir()
    elif damage == "cut":
        path.write_bytes(content[:-30])
    elif damage == "bad":
        path.write_bytes(content[:40] + b"\0\0\0\0\0\0\0\0" + content[48:])
    with pytest.raises(FileUnreadable, match=r"app\.log: "):
        FileStore([str(path)]).page(LogQuery())
