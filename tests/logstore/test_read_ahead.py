from pathlib import Path

import pytest

from app.logstore import segments
from app.logstore.read_ahead import ReadAhead
from app.logstore.segments import Segment
from tests.logstore.stores import line, sample


def test_what_was_read_ahead_is_given_once_and_the_rest_is_read_in_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.log"
    lines = [line(sample(message=message)) for message in "abc"]
    path.write_bytes(b"".join(lines))
    monkeypatch.setattr(segments, "CHUNK", len(lines[0]) + 1)
    with Segment(path) as segment:
        reader = ReadAhead(segment, str(segment.identity()), whole=False)
        first = reader.read(0)
        reader.read_ahead(first.end)
        path.write_bytes(b"".join([*lines[:1], *lines[2:]]))
        second = reader.read(first.end)
        again = reader.read(first.end)
    found = [chunk.records[0]["message"] for chunk in (first, second, again)]
    assert found == ["a", "b", "c"]


def test_what_cannot_be_read_is_said_only_in_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(line(sample()))
    segment = Segment(path)
    reader = ReadAhead(segment, "a", whole=False)
    segment.close()
    reader.read_ahead(0)
    with pytest.raises(OSError, match="descriptor"):
        reader.read(0)
