"""What is known about the work at hand, which every record tells by itself."""

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from itertools import chain, islice
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=_NOTHING)

# A record's own attributes; `extra` may not overwrite them (logging raises KeyError).
RESERVED = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# How many attributes a record has before it is given any; they come first.
_OWN = len(vars(logging.makeLogRecord({})))


def current() -> Mapping[str, Any]:
    """Return the fields bound now; do not change the mapping."""
    return _context.get()


def bind(**fields: Any) -> Token[Mapping[str, Any]]:
    """Add fields to every later record of this request, job or command; undo with reset()."""
    return _context.set({**_context.get(), **fields})


def reset(token: Token[Mapping[str, Any]]) -> None:
    """Undo the bind() that returned `token`, and every bind() since."""
    _context.reset(token)


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Bind fields for the length of a `with` block."""
    token = bind(**fields)
    try:
        yield
    finally:
        reset(token)


def safe_extra(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields that logging accepts as `extra`: a reserved name gets a `_` behind it."""
    return {f"{key}_" if key in RESERVED else str(key): fields[key] for key in fields}


def fields_of(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield what is bound now, and then what the record itself was given, which has the say."""
    return chain(_context.get().items(), islice(vars(record).items(), _OWN, None))


class ContextLogger(logging.LoggerAdapter[logging.Logger]):
    """Log with more context, such as `user_id`, `item_id` and `action`.

    A record with an `action` is an event: it is written whatever LOG_LEVEL says. `error`
    adds the exception by itself, but only inside an `except`.
    """

    def __init__(self, logger: logging.Logger, context: Mapping[str, Any] | None = None) -> None:
        super().__init__(logger, dict(context or {}))

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = safe_extra({**(self.extra or {}), **(kwargs.get("extra") or {})})
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        msg, kwargs = self.process(msg, kwargs)  # type: ignore[assignment]
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        if "action" in kwargs["extra"] and not self.logger.isEnabledFor(level):
            log_whatever_the_level(self.logger, level, msg, args, **kwargs)
        else:
            self.logger.log(level, msg, *args, **kwargs)

    def error(self, msg: object, *args: object, **kwargs: Any) -> None:
        kwargs.setdefault("exc_info", in_except())
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        self.log(logging.ERROR, msg, *args, **kwargs)


def in_except() -> bool:
    """Tell whether an exception is being handled; `exc_info=True` outside gives (None, …)."""
    return sys.exc_info()[0] is not None


def log_whatever_the_level(
    logger: logging.Logger, level: int, msg: object, args: Any = (), **kwargs: Any
) -> None:
    """Hand a record to a logger's handlers past its level, as events are; `extra` is safe."""
    exc_info = kwargs.get("exc_info")
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif exc_info is True:
        exc_info = sys.exc_info()
    # What makeRecord() does, without its search for reserved names: there is none.
    record = logging.getLogRecordFactory()(logger.name, level, "", 0, msg, args, exc_info or None)
    record.__dict__.update(kwargs.get("extra") or {})
    logger.handle(record)
