from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.logstore.contract import Checkpoint
from app.logstore.progress import Progress
from app.logstore.segments import Segment
from app.logstore.sql_store import SqlStore
from tests.logstore.stores import SOURCE, line, open_engine, sample


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_engine(f"sqlite:///{tmp_path / 'logs.db'}")


def test_the_store_is_asked_once_and_again_after_a_lost_answer(engine: Engine) -> None:
    store = SqlStore(engine)
    progress = Progress(store, SOURCE)
    assert [progress.get_in_step(), progress.get_in_step()] == [True, False]
    # Committed, and nobody heard of it.
    store.append([sample(), sample()], Checkpoint(SOURCE, "a", 50, True, 1))
    progress.lose_step()
    assert progress.get_in_step()
    assert progress.is_sealed("a", 50)
    records = [sample()]
    progress.append(records, "b", 7)
    # Their memory is needed for what the store makes of them.
    assert records == []
    assert max(one.next_seq for one in store.checkpoints(SOURCE)) == 4


@pytest.mark.parametrize(
    ("now", "start"),
    [("same", 2), ("longer", 2), ("shorter", 0), ("other line", 0), ("middle of a line", 0)],
)
def test_reading_goes_on_only_where_the_place_is_the_same(
    engine: Engine, tmp_path: Path, now: str, start: int
) -> None:
    progress = Progress(SqlStore(engine), SOURCE)
    progress.get_in_step()
    one, two, other = (line(sample(message=name)) for name in ("1", "2", "3"))
    path = tmp_path / "app.log"
    path.write_bytes(one + two)
    with Segment(path) as segment:
        place = segment.size
        progress.append([], "a", place)
        progress.has_read("a", segment.before(place))
        contents = {"same": one + two, "longer": one + two + other, "shorter": one,
                    "other line": one + other, "middle of a line": one + b"x" + other}  # fmt: skip
        path.write_bytes(contents[now])
        assert progress.start(segment, "a") == (place if start else 0)
        copy = progress.start(segment, "a", copy=True)
        assert copy == (place if start else segment.size)
