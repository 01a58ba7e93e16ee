from app.blueprints.admin.tracebacks import blocks
from tests.log_records import TRACEBACK


def test_the_frames_of_libraries_are_apart_from_our_own() -> None:
    found = blocks(TRACEBACK)
    assert [(one.kind, one.frames, len(one.lines)) for one in found] == [
        ("text", 0, 1), ("library", 1, 2), ("ours", 1, 2), ("text", 0, 1),
    ]  # fmt: skip
    assert found[-1].lines == ["KeyError: 'x'"]


def test_the_tree_of_an_exception_group_is_not_folded() -> None:
    assert [one.kind for one in blocks("  + Exception Group Traceback:\n  | ValueError: x")] == [
        "text"
    ]
    assert blocks(None) == []
