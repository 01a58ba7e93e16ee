"""Four processes that log into one file, which rotates again and again while they do.

What counts is how long a caller waits, so this is the time on the wall. Nobody may lose a line:
the stdlib's handler, which does, is no opponent here.
"""

import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.record import CONTEXT, FIELDS, TEXT, serve_a_request, stamp
from bench.rounds import Opponent, Work, in_turns
from bench.table import Row, compared

PROCESSES = 4
MAX_BYTES, BACKUPS = 1_048_576, 10
_forking = multiprocessing.get_context("fork")


def run(*, quick: bool) -> list[Row]:
    """Compare how long a line takes each of four processes that contend."""
    opponents = (
        Opponent("glasshouse", ours),
        Opponent("concurrent-log-handler", theirs),
        Opponent("the least", least),
    )
    amount, rounds = (1_000, 5) if quick else (2_000, 15)
    took = in_turns(opponents, amount, rounds, time.perf_counter)
    us = [[1e6 * one for one in found] for found in took]
    return [
        compared(
            "one record, four processes contending, rotating", us[0],
            "concurrent-log-handler, text", us[1], unit="µs", at_most=0.35,
        ),
        compared(
            "what no JSON line can do without, in the same four processes", us[2],
            "concurrent-log-handler, text", us[1], unit="µs",
        ),
    ]  # fmt: skip


def ours(folder: Path) -> Work:
    _import("flask", "app.observability.log_handlers", "app.observability.request_secrets")
    return _in_four_processes(lambda: serve_a_request(folder, MAX_BYTES, BACKUPS))


def theirs(folder: Path) -> Work:
    _import("concurrent_log_handler")
    return _in_four_processes(lambda: _set_up_theirs(folder))


def least(folder: Path) -> Work:
    """Log a line with no identity, no secret masked and no rotation: a dictionary and a write."""
    _import("orjson", "app.observability.logging_setup")
    return _in_four_processes(lambda: _set_up_least(folder))


def _import(*names: str) -> None:
    """Import before the processes are made, which are to do nothing but log."""
    for name in names:
        import_module(name)


def _set_up_theirs(folder: Path) -> None:
    from concurrent_log_handler import ConcurrentRotatingFileHandler

    handler = ConcurrentRotatingFileHandler(
        str(folder / "app.log"), maxBytes=MAX_BYTES, backupCount=BACKUPS
    )
    handler.setFormatter(logging.Formatter(TEXT))
    handler.addFilter(stamp(CONTEXT))
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)


def _set_up_least(folder: Path) -> None:
    import orjson

    from app.observability.logging_setup import find_out_less

    file = os.open(folder / "app.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    class Least(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            own = {name: record.__dict__[name] for name in FIELDS}
            line = {"timestamp": record.created, "level": record.levelname, "logger": record.name,
                    "message": record.msg, "pid": record.process, **CONTEXT, **own}  # fmt: skip
            os.write(file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            return True

    find_out_less()
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(Least())


def _in_four_processes(set_up: Callable[[], None]) -> Work:
    """Return work that each of four processes does, at the same time."""
    pipes = []
    for _ in range(PROCESSES):
        ours, theirs = _forking.Pipe()
        _forking.Process(target=_log_when_told, args=(set_up, theirs), daemon=True).start()
        pipes.append(ours)

    def work(amount: int) -> None:
        for pipe in pipes:
            pipe.send(amount)
        for pipe in pipes:
            pipe.recv()

    return work


def _log_when_told(set_up: Callable[[], None], pipe: Any) -> None:
    set_up()
    logger = logging.getLogger("app.items")
    while True:
        for _ in range(pipe.recv()):
            logger.info("item_update", extra=FIELDS)
        pipe.send(None)
