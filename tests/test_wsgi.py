import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, server_env


def import_wsgi(env: dict[str, str], code: str = "import wsgi") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def test_it_has_the_app(tmp_path: Path) -> None:
    done = import_wsgi(server_env(tmp_path), "import wsgi; print(wsgi.app.config['LOG_DIR'])")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'logs'}\n"


@pytest.mark.parametrize(
    ("name", "value"), [("LOG_LEVEL", "LOUD"), ("PORT", "eighty"), ("SENTRY_DSN", "nonsense")]
)
def test_a_bad_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    done = import_wsgi({**server_env(tmp_path), name: value})
    # The code that keeps gunicorn from starting the worker again.
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")


def test_a_misspelt_setting_is_told(tmp_path: Path) -> None:
    done = import_wsgi({**server_env(tmp_path), "LOG_LEVL": "DEBUG"})
    assert done.returncode == 0
    assert "nearly one variable=LOG_LEVL setting=LOG_LEVEL" in done.stderr
    assert "nearly" not in import_wsgi(server_env(tmp_path)).stderr


def test_it_starts_neither_thread_nor_process(tmp_path: Path) -> None:
    code = (
        "import threading, psutil, wsgi;"
        "print(threading.active_count(), psutil.Process().children())"
    )
    assert import_wsgi(server_env(tmp_path), code).stdout == "1 []\n"


def test_it_loads_nothing_that_only_few_need(tmp_path: Path) -> None:
    # Each takes megabytes, in every worker and in the runner.
    heavy = "{'PIL', 'alembic', 'mako', 'pygments', 'sentry_sdk', 'psycopg', 'pymongo', 'redis'}"
    code = f"import sys, wsgi; print(sorted({heavy} & set(sys.modules)))"
    assert import_wsgi(server_env(tmp_path), code).stdout == "[]\n"


def test_the_runner_counts_into_a_metrics_file_of_its_own(tmp_path: Path) -> None:
    env = {
        **server_env(tmp_path), "METRICS_SLOT": "runner",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }  # fmt: skip
    code = (
        "import wsgi; from app.observability.metrics import emails_total;"
        "emails_total.labels('sent').inc()"
    )
    assert import_wsgi(env, code).returncode == 0
    slots = {path.stem.rpartition("_")[2] for path in tmp_path.glob("*_*.db")}
    assert slots == {"runner"}
    assert (tmp_path / "counter_runner.db").exists()


def test_settings_come_from_a_file_beside_it_and_the_environment_wins(tmp_path: Path) -> None:
    # In a copy, so that nobody's own .env is touched.
    for name in ("app", "config.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "wsgi.py").write_bytes((ROOT / "wsgi.py").read_bytes())
    (tmp_path / ".env").write_text("ALERT_ERRORS_PER_HOUR=77\nSLOW_QUERY_MS=88\n")
    env = {**server_env(tmp_path), "SLOW_QUERY_MS": "99"}
    code = (
        "from wsgi import app;"
        "print(app.config['ALERT_ERRORS_PER_HOUR'], app.config['SLOW_QUERY_MS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.stdout == "77 99\n", done.stderr
    assert "ALERT_ERRORS_PER_HOUR" not in os.environ


def test_the_end_of_a_process_does_not_look_through_all_its_memory(tmp_path: Path) -> None:
    code = "import atexit, gc;atexit.register(lambda: print(gc.get_freeze_count() > 0));import wsgi"
    assert import_wsgi(server_env(tmp_path), code).stdout == "True\n"


def test_garbage_is_looked_for_once_it_has_started(tmp_path: Path) -> None:
    assert import_wsgi(server_env(tmp_path), "import gc, wsgi; print(gc.isenabled())").stdout == (
        "True\n"
    )
