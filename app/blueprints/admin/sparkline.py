"""A figure's course as the shapes of a small chart, in a box of WIDTH by HEIGHT."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH, HEIGHT = 240, 48
# Room for the line's own thickness at the edges.
_EDGE = 3


@dataclass(frozen=True)
class Sparkline:
    """The line in pieces, with a gap where nothing is known; dots for pieces of one point."""

    lines: list[str]
    dots: list[tuple[float, float]]
    limit: float | None


def sparkline(values: Sequence[float | None], limit: float | None) -> Sparkline:
    """Draw values in equal steps, from zero up; `limit` is the height of the threshold's line.

    The threshold is in the picture when values come near it: what is far from it would be flat.
    """
    known = [value for value in values if value is not None]
    top = max(known, default=0.0)
    shown = limit if limit is not None and limit <= 2 * top else None
    top = max(top, shown or 0.0) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    pieces = [
        [(round(index * step, 1), _height(value, top)) for index, value in piece]
        for there, piece in _pieces(values)
        if there
    ]
    return Sparkline(
        lines=[" ".join(f"{x},{y}" for x, y in piece) for piece in pieces if len(piece) > 1],
        dots=[piece[0] for piece in pieces if len(piece) == 1],
        limit=None if shown is None else _height(shown, top),
    )


def _pieces(
    values: Sequence[float | None],
) -> list[tuple[bool, list[tuple[int, float]]]]:
    return [
        (there, [(index, value) for index, value in piece if value is not None])
        for there, piece in groupby(enumerate(values), lambda one: one[1] is not None)
    ]


def _height(value: float, top: float) -> float:
    return round(HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * value / top, 1)
