"""requirements.txt pins each package that is needed, and no other."""

import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers import ROOT

FILES = ["requirements.txt", "requirements-dev.txt"]


def pins(file: str) -> dict[str, Requirement]:
    """Return the pinned packages of a file by name, included files too."""
    found: dict[str, Requirement] = {}
    for line in (ROOT / file).read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(line[3:])
        elif line and not line.startswith("#"):
            one = Requirement(line)
            found[canonicalize_name(one.name)] = one
    return found


def direct(file: str) -> set[str]:
    """Return the names before the part called "What those need"."""
    text = (ROOT / file).read_text().partition("# What those need")[0]
    return {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)[=\[]", text, re.MULTILINE)}


def needs(requirement: Requirement) -> list[Requirement]:
    """Return what a package asks for on this machine."""
    asked = [Requirement(one) for one in metadata.requires(requirement.name) or []]
    extras = requirement.extras or {""}
    return [
        one
        for one in asked
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras)
    ]


# What benchmarks measure against is installed by `make bench` only, and not here.
@pytest.mark.parametrize("file", [*FILES, "requirements-bench.txt"])
def test_every_package_is_pinned_to_one_version(file: str) -> None:
    for one in pins(file).values():
        assert re.fullmatch(r"==[\w.]+", str(one.specifier)), one


@pytest.mark.parametrize("file", FILES)
def test_everything_that_a_package_needs_is_pinned_to_a_version_that_suits_it(file: str) -> None:
    pinned = pins(file)
    for one in pinned.values():
        if one.marker is not None and not one.marker.evaluate():
            continue
        for needed in needs(one):
            pin = pinned.get(canonicalize_name(needed.name))
            assert pin is not None, f"{one.name} needs {needed}"
            version = str(pin.specifier).removeprefix("==")
            assert needed.specifier.contains(version, prereleases=True), (
                f"{one.name} needs {needed}"
            )


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_pinned_that_nothing_needs(file: str) -> None:
    pinned = pins(file)
    wanted = set().union(*(direct(one) for one in FILES[: FILES.index(file) + 1]))
    todo = list(wanted)
    while todo:
        one = pinned[todo.pop()]
        if one.marker is not None and not one.marker.evaluate():
            wanted.add(canonicalize_name(one.name))
            continue
        names = {canonicalize_name(needed.name) for needed in needs(one)} - wanted
        wanted |= names
        todo += names
    unused = {
        name for name, one in pinned.items() if one.marker is None or one.marker.evaluate()
    } - wanted
    assert not unused
