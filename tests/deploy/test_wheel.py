"""The wheel is the same to the byte, whoever builds it, wherever and whenever."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = (
    "import os, sys; os.umask(int(sys.argv.pop(1), 8)); from hatchling.cli import hatchling; sys.exit(hatchling())",
)


def built(place: Path, *, umask: str, changed_at: float) -> Path:
    """A wheel built from a copy of the tree in `place`, whose files were last changed at `changed_at` (Unix time)."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    place.mkdir(parents=True)
    for name in ("warmup", "migrations"):
        shutil.copytree(ROOT / name, place / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place / name)
    for path in place.rglob("*"):
        os.utime(path, (changed_at, changed_at))
        path.chmod(path.stat().st_mode & ~int(umask, 8))
    command = [sys.executable, "-c", *BUILD, umask, "build", "-t", "wheel"]
    environ = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    subprocess.run(command, cwd=place, env=environ, check=True, capture_output=True, timeout=120)
    (wheel,) = (place / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("there")
    first = built(here / "a", umask="022", changed_at=1_500_000_000)
    return first, built(there / "quite another" / "folder", umask="077", changed_at=1_700_000_000)


def test_two_builds_make_one_wheel(wheels: tuple[Path, Path]) -> None:
    first, second = (hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels)
    assert first == second
    assert wheels[0].name == wheels[1].name


def test_the_wheel_has_all_that_the_program_needs_and_nothing_else(wheels: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
    assert {"warmup/providers.toml", "warmup/py.typed", "warmup/migrations/env.py", "warmup/cli/app.py"} <= names
    strangers = {name for name in names if not name.startswith(("warmup/", "warmup-"))}
    assert strangers == set()
