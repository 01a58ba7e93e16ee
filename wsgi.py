"""What a server imports: `gunicorn wsgi:app`, `flask --app wsgi …`."""

import atexit
import gc
import os
import sys
from pathlib import Path

from dotenv import load_dotenv
from prometheus_client import values

# Nearly all of what is imported stays: to look for garbage in it only makes the start longer.
gc.disable()
load_dotenv(Path(__file__).with_name(".env"))

# The runner counts into a metrics file of its own. The library asks which kind of value to
# make when a metric is made, so this comes before the application is imported.
if (slot := os.environ.get("METRICS_SLOT")) and os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]

from app import create_app  # noqa: E402
from config import ConfigError, misspelt  # noqa: E402

# gunicorn takes this exit code as "do not try again".
_CANNOT_START = 4

try:
    app = create_app()
except ConfigError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(_CANNOT_START)

for name, setting in misspelt(os.environ).items():
    app.logger.warning(
        "A variable is no setting, but nearly one",
        extra={"details": {"variable": name, "setting": setting}},
    )

# A full collection would walk through it in the middle of somebody's request, and once more at
# the end.
gc.freeze()
gc.enable()
atexit.register(gc.freeze)
