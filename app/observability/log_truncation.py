"""Keep a line under its limit: a giant record loses its longest fields and says which."""

from collections.abc import Callable
from typing import Any

_Dump = Callable[[dict[str, Any]], bytes]
_Place = tuple[dict[str, Any], str, str]  # Holder, key in it, and name for people.
_MARK = "…"
# What every record has, whatever its length.
_REQUIRED = frozenset({"id", "timestamp", "level", "logger", "message", "request_id"})


def fit(data: dict[str, Any], limit: int, dump: _Dump) -> bytes:
    """Return `data` dumped in at most `limit` bytes; `details.truncated` names what was cut.

    `data` changes. The limit holds from 1,000 bytes up.
    """
    line = dump(data)
    if len(line) <= limit:
        return line
    # A caller's own detail of this name gives way to ours.
    if isinstance(data.get("details"), dict):
        data["details"].pop("truncated", None)
    size = len(dump(data))
    for cap in (4096, 1024, 200, 40):
        for holder, key, name in _longest_first(data, cap):
            before = holder[key]
            # The end of a traceback says what happened; elsewhere the beginning does.
            holder[key] = _shortened(before, cap, keep_end=key == "traceback")
            _note(data, name)
            # Dumping the whole record for each of its fields would take long.
            size -= len(dump({"": before})) - len(dump({"": holder[key]}))
            if size <= limit:
                line = dump(data)
                if len(line) <= limit:
                    return line
                size = len(line)
    return _bare(data, limit, dump)


def _bare(data: dict[str, Any], limit: int, dump: _Dump) -> bytes:
    """Drop whole fields, for records of very many fields or of characters that need escapes."""
    data["details"] = {"truncated": ["details"]}
    for name in [*data][::-1]:
        line = dump(data)
        if len(line) <= limit:
            return line
        if name not in _REQUIRED and name != "details":
            del data[name]
            data["details"]["truncated"] = ["details", "other fields"]
    for holder, key, _name in _longest_first(data, 10):
        holder[key] = _shortened(holder[key], 10, keep_end=False)
    return dump(data)


def _longest_first(data: dict[str, Any], cap: int) -> list[_Place]:
    places: list[_Place] = [
        (data, key, key) for key in data if key not in ("details", "exception", "id", "timestamp")
    ]
    for group in ("exception", "details"):
        inner = data.get(group) or {}
        places += [(inner, key, f"{group}.{key}") for key in inner if key != "truncated"]
    sized = [(len(str(place[0][place[1]])), place) for place in places]
    sized.sort(key=lambda entry: entry[0], reverse=True)
    return [place for size, place in sized if size > cap]


def _note(data: dict[str, Any], name: str) -> None:
    truncated = data.setdefault("details", {}).setdefault("truncated", [])
    if name not in truncated:
        truncated.append(name)


def _shortened(value: Any, cap: int, *, keep_end: bool) -> str:
    text = str(value)
    return _MARK + text[-cap:] if keep_end else text[:cap] + _MARK
