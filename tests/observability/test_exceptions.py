import traceback
from typing import Any

import pytest

from app.observability.exceptions import (
    describe,
    place,
    project_file,
    project_frames,
    type_name,
)
from tests.helpers import ROOT
from tests.hostile import Unspeakable


class ShopError(Exception):
    pass


def fail(text: str = "first") -> None:
    raise ShopError(text)


def fail_elsewhere() -> None:
    raise ShopError("first")


def caught(function: Any, *args: Any) -> BaseException:
    try:
        function(*args)
    except BaseException as exc:
        return exc
    raise AssertionError


def test_an_exception_is_described() -> None:
    told = describe(caught(fail))
    assert told["type"] == type_name(ShopError()) == f"{__name__}.ShopError"
    assert told["message"] == "first"
    assert told["traceback"].splitlines()[0] == "Traceback (most recent call last):"
    assert type_name(ValueError()) == "ValueError"


def test_the_place_is_the_innermost_line_of_this_project() -> None:
    assert place(caught(fail)) == (
        f"tests/observability/test_exceptions.py:{fail.__code__.co_firstlineno + 1} in fail"
    )
    inside_a_library = caught(traceback.format_exception, 1, 2, 3)
    assert (place(inside_a_library) or "").endswith(" in caught")
    assert place(ValueError()) is None


def test_the_same_failure_has_the_same_fingerprint_whatever_its_text_says() -> None:
    first, other = describe(caught(fail, "item 1")), describe(caught(fail, "item 2"))
    assert first["fingerprint"] == other["fingerprint"]
    assert first["fingerprint"] != describe(caught(fail_elsewhere))["fingerprint"]


SOURCE = """
def outer():
    inner(3)

def inner(depth):
    return inner(depth - 1) if depth else {}["x"]
"""


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("\ndef inner", "\n# A line.\n" * 9 + "\ndef inner"), True),
        (("inner(3)", "inner(30)"), True),
        (('{}["x"]', "{}['another']"), True),
        (('{}["x"]', "[][1]"), False),
        (("inner", "other"), False),
        (("    inner(3)", '    {}["x"]'), False),
    ],
)
def test_a_fingerprint_is_of_the_type_and_the_functions_on_the_way(
    change: tuple[str, str], same: bool
) -> None:
    found = []
    for source in (SOURCE, SOURCE.replace(*change)):
        space: dict[str, Any] = {}
        exec(compile(source, str(ROOT / "app/services/shop.py"), "exec"), space)
        found.append(describe(caught(space["outer"]))["fingerprint"])
    assert (found[0] == found[1]) is same


def test_an_endless_recursion_keeps_its_innermost_frames() -> None:
    def deeper() -> None:
        deeper()

    told = describe(caught(deeper))
    assert told["type"] == "RecursionError"
    assert len(told["traceback"]) < 20_000


def test_causes_and_groups_are_told() -> None:
    def chained() -> None:
        try:
            fail("inner")
        except ShopError as error:
            raise ExceptionGroup("both", [ValueError("one"), error]) from error

    text = describe(caught(chained))["traceback"]
    assert "direct cause" in text
    assert "ValueError: one" in text


@pytest.mark.parametrize(
    "argument", [Unspeakable(), "\ud800", 10**5000], ids=["object", "surrogate", "int"]
)
def test_an_exception_that_cannot_be_shown_is_described_all_the_same(argument: Any) -> None:
    told = describe(caught(fail, argument))
    assert set(told) == {"type", "message", "traceback", "fingerprint"}


def test_an_exception_whose_attributes_fail_is_described_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(traceback, "format_exception", broken)
    assert describe(caught(fail))["traceback"].endswith("<no traceback>")


def test_only_files_of_this_project_are_its_own() -> None:
    assert project_file(f"{ROOT}/app/services/item_service.py") == "app/services/item_service.py"
    assert project_file(f"{ROOT}/.venv/lib/site-packages/flask/app.py") is None
    assert project_file(traceback.__file__) is None
    assert project_frames(None) == []


def test_the_place_is_the_service_that_asked_not_the_machinery_of_its_operation() -> None:
    inner = compile("1 / 0", str(ROOT / "app/observability/operations.py"), "exec")
    outer = compile("\nexec(inner)", str(ROOT / "app/services/shop.py"), "exec")
    with pytest.raises(ZeroDivisionError) as caught:
        exec(outer, {"inner": inner})
    assert place(caught.value) == "app/services/shop.py:2 in <module>"
