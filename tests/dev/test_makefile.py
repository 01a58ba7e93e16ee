import re
import subprocess
from pathlib import Path

from tests.helpers import ROOT


def make(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *args], cwd=cwd, capture_output=True, text=True, timeout=60, check=True
    )


def listed(output: str) -> dict[str, str]:
    lines = [line.split(None, 2) for line in output.splitlines() if line.startswith("  make ")]
    return {target: text for _, target, text in lines}


def test_make_alone_lists_every_target_with_one_line() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets
    shown = listed(make().stdout)
    assert list(shown) == targets[1].split()
    assert all(len(one) > 10 for one in shown.values())


def test_make_works_from_another_directory(tmp_path: Path) -> None:
    assert listed(make("-f", str(ROOT / "Makefile"), cwd=tmp_path).stdout) == listed(make().stdout)


def test_every_script_that_make_calls_can_be_run() -> None:
    for target in listed(make().stdout):
        if target != "help":
            script = ROOT / "dev" / target
            assert script.stat().st_mode & 0o111
            subprocess.run(["sh", "-n", script], check=True)
