"""Read a page as a tree, so that tests ask for elements and not for pieces of text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "link", "input", "br", "img", "hr", "source", "col", "wbr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text inside, its white space as a browser shows it."""
        return " ".join(self._raw().split())

    def _raw(self) -> str:
        return "".join(one if isinstance(one, str) else one._raw() for one in self.children)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def every(self, tag: str, **attributes: str) -> "list[Element]":
        """Return the elements inside with this tag; `class_` asks for one of its classes."""
        return [one for one in self._inside() if one.tag == tag and one._has(attributes)]

    def one(self, tag: str, **attributes: str) -> "Element":
        """Return the only such element."""
        found = self.every(tag, **attributes)
        assert len(found) == 1, f"{len(found)} times {tag} {attributes}"
        return found[0]

    def _inside(self) -> "Iterator[Element]":
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._inside()

    def _has(self, wanted: dict[str, str]) -> bool:
        for name, value in wanted.items():
            found = self.attributes.get(name.rstrip("_"))
            if found is None or value not in (found.split() if name == "class_" else [found]):
                return False
        return True


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while len(self._open) > 1 and self._open.pop().tag != tag:
            continue

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read_page(html: str) -> Element:
    """Return a page's tree."""
    builder = _Builder()
    builder.feed(html)
    return builder.root
