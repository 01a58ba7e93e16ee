"""A LogQuery as conditions of SQL."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, String, Text, and_, bindparam, or_, text, true
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.logstore.cleaning import clean_text
from app.logstore.contract import LogQuery
from app.logstore.filters import (
    SEARCHED,
    actions_are_rare,
    alternatives,
    in_32_bits,
    inside_json,
    is_exact,
    levels_are_rare,
    status_is_rare,
    upper,
    wants_failures,
)
from app.models.log import Log


class _NotFirst(FunctionElement[str]):
    """A column whose index is not the one to use.

    SQLite has no statistics and would read all that a user ever did to find his two errors.
    """

    type = String()
    inherit_cache = True


@compiles(_NotFirst)
def _plain(element: _NotFirst, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_NotFirst, "sqlite")
def _without_index(element: _NotFirst, compiler: Any, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


class _Ascii(FunctionElement[str]):
    """A text of which only ASCII's letters are the same in either case, as in SQLite always."""

    type = String()
    inherit_cache = True


@compiles(_Ascii)
def _as_it_is(element: _Ascii, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(_Ascii, "postgresql")
def _of_bytes(element: _Ascii, compiler: Any, **options: Any) -> str:
    return f'({compiler.process(element.clauses, **options)} COLLATE "C")'


def indexed(query: LogQuery) -> list[ColumnElement[bool]]:
    """Return the conditions that the key or another index serves."""
    low, high = query.id_bounds()
    found: list[ColumnElement[bool]] = []
    if low:
        found.append(Log.id >= low)
    if high:
        found.append(Log.id < high)
    for column, value in (
        (Log.request_id, query.request_id),
        (_NotFirst(Log.user_id) if _finds_fewer(query) else Log.user_id, query.user_id),
        (Log.exception_fingerprint, query.fingerprint),
    ):
        if value is not None:
            found.append(column == clean_text(value))
    return [*found, *_of_few(query)]


def scanned(query: LogQuery) -> list[ColumnElement[bool]]:
    """Return the conditions for which records have to be looked at, one after the other."""
    low, high = (None, None) if status_is_rare(query) else (query.status_min, query.status_max)
    found = [
        compare(value)
        for value, compare in (
            (query.account, lambda value: Log.account == clean_text(value)),
            (query.route, lambda value: Log.route == clean_text(value)),
            (low, lambda value: Log.status >= in_32_bits(value)),
            (high, lambda value: Log.status <= in_32_bits(value)),
            (query.min_duration_ms, lambda value: Log.duration_ms >= value),
            (query.max_duration_ms, lambda value: Log.duration_ms <= value),
        )
        if value is not None
    ]
    if query.levels and not levels_are_rare(query):
        found.append(_in("level", upper(query.levels)))
    if query.actions and not actions_are_rare(query):
        found.append(_in("action", query.actions))
    found += [
        _in(name, values)
        for name, values in alternatives(query).items()
        if name != "parent_request_id"
    ]
    found += [_contains(clean_text(value)) for value in query.texts if value]
    return found + [_none_of(one) for one in query.without if is_exact(one)]


def _of_few(query: LogQuery) -> Iterator[ColumnElement[bool]]:
    """Yield what an index of few records serves.

    Spelled as in the index, which SQLite uses only for a query that says the same.
    """
    if levels_are_rare(query):
        # As it stands: planned for any level, PostgreSQL would pass the index of the rare ones.
        levels = [clean_text(one) for one in upper(query.levels)]
        listed: Any = bindparam("levels", levels, unique=True, expanding=True, literal_execute=True)
        yield from (Log.level.in_(listed), _text("level NOT IN ('DEBUG', 'INFO')"))
    if actions_are_rare(query):
        yield from (_in("action", query.actions), _text("action <> 'request'"))
    if status_is_rare(query):
        yield from (Log.status == query.status_min, _text("status IN (401, 403, 429)"))
    if wants_failures(query):
        yield _text("status >= 500")
    if parents := alternatives(query).get("parent_request_id"):
        yield _in("parent_request_id", parents)


def _finds_fewer(query: LogQuery) -> bool:
    """Tell whether another index than the one of users has fewer records for the query."""
    known = query.request_id is not None or query.fingerprint is not None
    rare = levels_are_rare(query) or actions_are_rare(query) or status_is_rare(query)
    return known or rare


def _none_of(query: LogQuery) -> ColumnElement[bool]:
    # A comparison with a value that is absent is neither true nor false.
    return and_(true(), *indexed(query), *scanned(query)).is_not(true())


def _text(sql: str) -> ColumnElement[bool]:
    return cast("ColumnElement[bool]", text(sql))


def _in(name: str, values: Sequence[str]) -> ColumnElement[bool]:
    column: ColumnElement[Any] = Log.__table__.columns[name]
    cleaned = [clean_text(value) for value in values]
    return column == cleaned[0] if len(cleaned) == 1 else column.in_(cleaned)


def _contains(needle: str) -> ColumnElement[bool]:
    pattern = _pattern(needle)
    columns: list[Any] = [_Ascii(getattr(Log, name)) for name in SEARCHED]
    found = [column.ilike(pattern, escape="!") for column in columns]
    inside = _pattern(inside_json(needle))
    found.append(_Ascii(sql_cast(Log.details, Text)).ilike(inside, escape="!"))
    return or_(*found)


def _pattern(needle: str) -> str:
    escaped = "".join(f"!{char}" if char in "!%_" else char for char in needle)
    # Any letter stands for one beyond ASCII that has two cases; holds() looks again.
    return "%" + "".join("_" if _cased(char) else char for char in escaped) + "%"


def _cased(char: str) -> bool:
    return not char.isascii() and char.lower() != char.upper()
