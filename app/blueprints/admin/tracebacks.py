"""A traceback for a person: this application's own frames first, those of libraries folded."""

from dataclasses import dataclass
from itertools import groupby

from app.blueprints.admin.present import traceback_lines

OURS, LIBRARY, TEXT = "ours", "library", "text"


@dataclass(frozen=True)
class Block:
    """Lines of a traceback that belong together: `ours`, of a `library`, or its own `text`."""

    kind: str
    lines: list[str]

    @property
    def frames(self) -> int:
        """Return how many calls they show."""
        return sum(line.lstrip().startswith('File "') for line in self.lines)


def blocks(text: str | None) -> list[Block]:
    """Return a traceback's lines in their order, as blocks to show or to fold."""
    kinds = [(_kind(line, ours=ours), line) for line, ours in traceback_lines(text)]
    return [
        Block(kind, [line for _, line in lines])
        for kind, lines in groupby(kinds, lambda one: one[0])
    ]


def _kind(line: str, *, ours: bool) -> str:
    if ours:
        return OURS
    # An exception group draws its tree with these; it is not folded.
    framed = line.startswith("  ") and not line.lstrip().startswith(("|", "+"))
    return LIBRARY if framed else TEXT
