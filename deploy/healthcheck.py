"""Tell Docker whether a container does its work: `healthcheck.py web` or `… scheduler`.

Standard library only: it runs every few seconds, and importing the application would cost more
than the check.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen


def web() -> bool:
    """Ask the server whether it lives."""
    try:
        with urlopen("http://127.0.0.1:8000/health/live", timeout=4):
            return True
    except HTTPError as answer:
        # TRUSTED_HOSTS may refuse the name 127.0.0.1, which is an answer, too.
        return answer.code < 500
    except OSError:
        return False


def scheduler() -> bool:
    """Look when the runner was last seen; it says so once a second."""
    try:
        status = json.loads((Path(os.environ["LOG_DIR"]) / "runner.json").read_text())
        seen = datetime.fromisoformat(status["seen_at"])
    except (OSError, ValueError, KeyError):
        return False
    return datetime.now(UTC) - seen < timedelta(seconds=10)


CHECKS = {"web": web, "scheduler": scheduler}

if __name__ == "__main__":
    sys.exit(not CHECKS[sys.argv[1]]())
