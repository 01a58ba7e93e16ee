"""Values that break loggers: strategies for property tests, and objects that misbehave."""

from typing import Any

from hypothesis import strategies as st


class Unspeakable:
    """Raises whenever somebody asks what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    __hash__ = object.__hash__


class Unreadable(dict[str, Any]):
    """Looks like a mapping until it is read."""

    def items(self) -> Any:
        raise RuntimeError("dictionary changed size during iteration")


class LoudText(str):
    def __str__(self) -> str:
        raise ValueError("no text")

    __slots__ = ()


def cyclic() -> list[Any]:
    """Return a list that holds itself so often that walking all of it never ends."""
    values: list[Any] = []
    values.extend([values] * 300)
    return values


def cyclic_mapping() -> dict[str, Any]:
    values: dict[str, Any] = {}
    values.update({"self": values, "list": [values]})
    return values


ODD = [
    Unspeakable(), Unreadable(a=1), LoudText("loud"), cyclic(), cyclic_mapping(), object(),
    2**64, -(2**70), 10**5000, float("nan"), float("inf"), 1j, b"\xff\x00bytes", b"\r\n",
    "\ud800", "a\udfffb", "\x00", "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e", "\r\n", "İ" * 10,
    "x" * 6_000, "\x00" * 2_000, "\u2028" * 2_000, set(), {1, 2},
    {1: 2, None: 3, (1, 2): 4, Unspeakable(): 5}, {"": ""}, range(5),
    ValueError("\n"), type, lambda: None, ..., [[[[[[[[[[[["deep"]]]]]]]]]]]],
    "x" * 300_000, "\x00" * 20_000, ["y" * 50_000] * 3, {"k" * 100_000: 1},
]  # fmt: skip
GIANTS = 4  # The last ones, too large for property tests.

# By position: the library would ask the objects themselves for a text.
odd = st.integers(0, len(ODD) - 1 - GIANTS).map(lambda number: ODD[number])
texts = st.text(max_size=60) | st.text(
    st.characters(categories=["Cc", "Cs", "Zl", "Zp", "Lu"]), max_size=30
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=20)
values = st.recursive(
    scalars | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts | st.integers() | st.none(), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=10,
)
# Names that a caller may use in `extra`: fields, reserved names, anything.
names = texts | st.sampled_from(
    ["message", "name", "args", "msg", "exc_info", "asctime", "taskName", "levelname", "id",
     "details", "exception", "truncated", "timestamp", "level", "logger", "host", "pid", "status",
     "duration_ms", "path", "user_id", "account", "request_id", "statement", "password"]
)  # fmt: skip
