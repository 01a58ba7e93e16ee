import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logstore import segments
from app.logstore.record import normalise, time_of, valid_id
from app.logstore.segments import Chunk, Fragment, Segment, Whole, split
from tests.logstore.stores import line, sample, write_lines


def read_all(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with Segment(path) as segment:
        identity = segment.identity(whole=whole)
        assert identity is not None
        offset = 0
        while (chunk := segment.read(offset, identity, whole=whole)).end != offset:
            found += chunk.records
            offset = chunk.end
    return found


def texts(pieces: list[Whole | Fragment]) -> list[Any]:
    return [one.data["message"] if isinstance(one, Whole) else one.text for one in pieces]


def test_a_segment_is_known_by_its_first_record_whatever_it_is_called(tmp_path: Path) -> None:
    record = sample()
    write_lines(tmp_path / "app.log", record, sample())
    with Segment(tmp_path / "app.log") as active:
        (tmp_path / "app.log").rename(tmp_path / "app.log.000001")
        with Segment(tmp_path / "app.log.000001") as rotated:
            assert active.identity() == rotated.identity() == record["id"]


@pytest.mark.parametrize("content", [b"", b'{"id":"0'])
def test_a_segment_without_a_whole_line_is_not_known_yet(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(content)
    with Segment(path) as segment:
        assert segment.identity() is None
        assert (segment.identity(whole=True) is None) is (content == b"")


def test_a_segment_without_any_record_is_known_by_its_bytes_in_the_end(
    tmp_path: Path,
) -> None:
    identities = set()
    for content in (b"hello\n", b"hello\nworld\n", b"\n"):
        (tmp_path / "app.log").write_bytes(content)
        with Segment(tmp_path / "app.log") as segment:
            assert segment.identity() is None
            identities.add(segment.identity(whole=True))
    assert len(identities) == 3
    assert None not in identities


def test_lines_that_many_segments_begin_with_identify_none(tmp_path: Path) -> None:
    first, second = sample(), sample()
    for name, record in (("a", first), ("b", second)):
        (tmp_path / name).write_bytes(b"\nbanner\n" + line(record)[:40] + line(record))
        with Segment(tmp_path / name) as segment:
            assert segment.identity() == record["id"]


def test_only_whole_lines_are_read_and_reading_goes_on_behind_them(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    one, two = sample(message="one"), sample(message="two")
    write_lines(path, one)
    with path.open("ab") as file, Segment(path) as segment:
        file.write(line(two)[:20])
        file.flush()
        first = segment.read(0, one["id"])
        whole = line(one)
        assert first == Chunk([one], len(whole), 0, whole)
        assert segment.read(first.end, one["id"]) == Chunk([], first.end, 0, whole)
        file.write(line(two)[20:])
        file.flush()
        assert segment.read(first.end, one["id"]).records == [two]


def test_many_lines_come_in_batches_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "CHUNK", 4096)
    records = [sample(message="x" * (index % 700)) for index in range(300)]
    write_lines(tmp_path / "app.log", *records)
    assert read_all(tmp_path / "app.log") == records


def test_a_line_longer_than_a_chunk_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "CHUNK", 1000)
    records = [sample(), sample(message="x" * 2500), sample()]
    write_lines(tmp_path / "app.log", *records)
    assert read_all(tmp_path / "app.log") == records


def test_a_line_without_any_end_is_kept_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "CHUNK", 150)
    monkeypatch.setattr(segments, "LONGEST_LINE", 400)
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * 1000 + b"\n")
    with path.open("ab") as file:
        file.write(line(sample(message="behind")))
    found = read_all(path)
    # As long as in a file that is searched, so that they have the same ids there.
    pieces = [one["details"]["fragment"] for one in found[:-1]]
    assert pieces == ["x" * 400, "x" * 400, "x" * 200]
    assert found[-1]["message"] == "behind"


def test_a_last_line_without_end_is_taken_only_from_a_final_segment(tmp_path: Path) -> None:
    path = tmp_path / "app.log.000001"
    one, two = sample(), sample()
    path.write_bytes(line(one) + line(two)[:-1])
    assert read_all(path) == [one]
    assert read_all(path, whole=True) == [one, two]


def test_empty_lines_say_nothing(tmp_path: Path) -> None:
    record = sample()
    (tmp_path / "app.log").write_bytes(b"\n\r\n  \n" + line(record) + b"\n")
    assert read_all(tmp_path / "app.log") == [record]


A, B, C = (sample(message=name, details={"inner": {"id": 5, "a": {}}}) for name in "ABC")
LINE_A, LINE_B, LINE_C = (line(one)[:-1] for one in (A, B, C))


@pytest.mark.parametrize(
    ("torn", "pieces"),
    [
        (LINE_A, ["A"]),
        (LINE_A[:30] + LINE_B, [LINE_A[:30], "B"]),
        (LINE_A[:-1] + LINE_B, [LINE_A[:-1], "B"]),
        (LINE_A + LINE_B, ["A", "B"]),
        (LINE_A + LINE_B[:50] + LINE_C, ["A", LINE_B[:50], "C"]),
        (LINE_A[:9] + LINE_B[:50] + LINE_C, [LINE_A[:9] + LINE_B[:50], "C"]),
        (LINE_A + LINE_B[:50], ["A", LINE_B[:50]]),
        (LINE_A[40:], [LINE_A[40:]]),
        (b"\0\0\0" + LINE_A, [b"\0\0\0", "A"]),
        (b"5", [b"5"]),
        (b'{"id":' * 3000, [b'{"id":' * 3000]),
    ],
)
def test_a_torn_line_gives_back_every_whole_record_in_it(torn: bytes, pieces: list[Any]) -> None:
    found = split(torn)
    assert texts(found) == pieces
    for piece in found:
        rest = torn[piece.start :]
        assert rest.startswith(piece.text if isinstance(piece, Fragment) else b'{"id"')


@given(st.integers(0, len(LINE_A)), st.integers(0, len(LINE_B) - 1))
def test_however_two_lines_are_torn_the_whole_one_behind_them_survives(cut: int, end: int) -> None:
    found = split(LINE_A[:cut] + LINE_B[:end] + LINE_C)
    assert texts(found)[-1] == "C"
    kept = b"".join(one.text if isinstance(one, Fragment) else line(one.data)[:-1] for one in found)
    assert kept == LINE_A[:cut] + LINE_B[:end] + LINE_C


@given(st.binary(max_size=300))
def test_no_bytes_stop_the_reader_and_none_are_lost(garbage: bytes) -> None:
    content = garbage.replace(b"\n", b" ")
    pieces = split(content + LINE_A)
    assert texts(pieces)[-1] == "A"
    kept = b"".join(one.text for one in pieces if isinstance(one, Fragment))
    assert kept.strip() == content.strip()


def test_a_fragment_is_a_record_of_its_own_the_same_on_each_reading(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    first, torn, last = sample(), sample(message="torn"), sample()
    path.write_bytes(line(first) + line(torn)[:70] + line(last))
    found = read_all(path)
    assert found == read_all(path)
    fragment = normalise(found[1])
    assert (found[0], found[2]) == (first, last)
    assert (fragment["level"], fragment["message"]) == ("WARNING", "Torn log line")
    assert fragment["details"] == {
        "fragment": line(torn)[:70].decode(),
        "segment": first["id"],
        "offset": len(line(first)),
    }
    # At the torn record's time, but not by its id: the outbox may still have the record itself.
    assert valid_id(fragment["id"])
    assert fragment["id"] != torn["id"]
    assert time_of(fragment["id"]) == time_of(torn["id"])


def test_two_equal_lines_of_somebody_else_are_two_records(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write_lines(path, sample(), {"message": "hi", "id": 5}, {"message": "hi", "id": 5})
    found = [normalise(one) for one in read_all(path)]
    assert [one["message"] for one in found] == ["sample", "hi", "hi"]
    assert len({one["id"] for one in found}) == 3
    assert found[1]["details"] == {"given_id": 5}


def test_a_sealed_segment_may_be_read_by_whoever_could_and_written_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.log.000001"
    write_lines(path, sample())
    path.chmod(0o660)
    with Segment(path) as segment:
        with monkeypatch.context() as patch:
            # A file of another user's; a file system that keeps no permissions.
            patch.setattr("os.fchmod", Mock(side_effect=[PermissionError(1, "not yours"), None]))
            assert [segment.seal(), segment.seal()] == [False, False]
        assert [segment.seal(), segment.seal()] == [True, True]
    assert path.stat().st_mode & 0o777 == 0o440


def test_the_first_waiting_line_has_a_time(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    record = sample(datetime(2026, 1, 2, tzinfo=UTC))
    path.write_bytes(line(record) + b"no record\n" + line(record)[:9])
    with Segment(path) as segment:
        assert segment.first_time(0) == datetime(2026, 1, 2, tzinfo=UTC)
        modified = segment.first_time(len(line(record)))
        assert modified is not None
        assert abs(modified.timestamp() - os.stat(path).st_mtime) < 0.001
        assert segment.first_time(len(line(record)) + len(b"no record\n")) is None


def test_a_changed_file_has_another_stamp(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    write_lines(path, sample())
    with Segment(path) as segment:
        before = segment.stamp()
        write_lines(path, sample())
        assert segment.stamp() != before
        assert segment.size == os.stat(path).st_size
