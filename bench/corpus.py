"""Log lines as a busy shop writes them, made by the application's own formatter."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import orjson

SEGMENT_BYTES = 10_485_760
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


def lines(amount: int) -> Iterator[bytes]:
    """Yield lines: of 20, 17 are of requests, 2 of operations and one is an error.

    They are those of the last hours, 50 a second, and no two have the same values.
    """
    from app.observability.log_formatters import timestamp, to_json

    random = Random(1)
    kinds = [orjson.loads(line) for line in _kinds()]
    first = time.time() - amount / 50
    for number in range(amount):
        record = kinds[number % len(kinds)]
        moment = first + number / 50
        record["id"], record["timestamp"] = _id_at(moment, random), timestamp(moment)
        record["request_id"] = _id_at(moment, random)
        person, item = random.randrange(2_000), random.randrange(100_000)
        changes = {
            "user_id": str(person), "account": f"person{person}@example.com",
            "path": f"/items/{item}", "target_id": str(item),
            "remote_addr": f"198.51.{person % 256}.{item % 256}",
            "duration_ms": round(random.lognormvariate(2.5, 0.8), 3),
            "db_ms": round(random.lognormvariate(1, 0.8), 3),
        }  # fmt: skip
        record |= {name: value for name, value in changes.items() if name in record}
        yield to_json(record) + b"\n"


def _id_at(moment: float, random: Random) -> str:
    number = (int(moment * 1000) << 80) | (7 << 76) | (2 << 62)
    return str(UUID(int=number | (random.getrandbits(12) << 64) | random.getrandbits(62)))


def fill_folder(log_dir: Path, amount: int) -> int:
    """Write lines as rotated segments, as they are when the runner was away; return the bytes."""
    log_dir.mkdir(parents=True, exist_ok=True)
    total, number, size, file = 0, 0, SEGMENT_BYTES, None
    for line in lines(amount):
        if size >= SEGMENT_BYTES:
            if file is not None:
                file.close()
            number, size = number + 1, 0
            file = (log_dir / f"app.log.{number:06d}").open("wb")
        assert file is not None
        size += file.write(line)
        total += len(line)
    if file is not None:
        file.close()
    (log_dir / "app.log").touch()
    return total


def _kinds() -> list[str]:
    from app.observability.log_formatters import JSONFormatter

    formatter = JSONFormatter("1.0.0")
    request = {
        "action": "request", "request_id": "r", "user_id": "7", "account": "someone@example.com",
        "method": "GET", "path": "/items/4711", "route": "/items/<int:item_id>", "status": 200,
        "duration_ms": 12.345, "db_ms": 3.21, "db_count": 4, "remote_addr": "198.51.100.7",
        "details": {"user_agent": _AGENT},
    }  # fmt: skip
    operation = {
        "action": "item_update", "request_id": "r", "user_id": "7",
        "account": "someone@example.com", "route": "/items/<int:item_id>", "target_type": "item",
        "target_id": "4711", "outcome": "success", "duration_ms": 3.25,
        "details": {"changed": ["name", "quantity"]},
    }  # fmt: skip
    error = {
        "action": "error", "request_id": "r", "method": "POST", "path": "/items", "route": "/items",
        "remote_addr": "198.51.100.7", "details": {"place": "app/services/item_service.py:42"},
    }  # fmt: skip
    made = [_record("request", logging.INFO, request) for _ in range(17)]
    made += [_record("item_update", logging.INFO, operation) for _ in range(2)]
    made.append(_record("ValueError", logging.ERROR, error, failed=True))
    return [formatter.format(one) for one in made]


def _record(
    message: str, level: int, extra: dict[str, Any], *, failed: bool = False
) -> logging.LogRecord:
    exc_info = None
    if failed:
        try:
            logging.Formatter("%(broken", validate=True)
        except ValueError as error:
            exc_info = (type(error), error, error.__traceback__)
    logger = logging.getLogger("app.events")
    return logger.makeRecord(logger.name, level, "", 0, message, (), exc_info, extra=extra)
