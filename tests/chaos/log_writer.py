"""A process that writes numbered lines through the app's own log file: PATH NAME LINES BYTES."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from app.logstore.record import to_timestamp
from app.observability.ids import new_id
from app.observability.log_file import AppendOnlyFile

path, name, lines, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
file = AppendOnlyFile(path, size)
for number in range(lines):
    record = {
        "id": new_id(),
        "timestamp": to_timestamp(datetime.now(UTC)),
        "level": "INFO",
        "logger": "chaos",
        "message": f"{name}-{number}",
        "details": {"filling": "x" * (number % 97)},
    }
    file.write(json.dumps(record).encode() + b"\n")
