"""The systemd unit is one systemd understands, and it is shut as tightly as it says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "warmup.service"
INSTALLED = "/opt/warmup/bin/warmup"


@pytest.fixture
def analyze() -> str:
    """systemd-analyze; without it the tests are skipped aloud, and fail where the lab is required."""
    found = shutil.which("systemd-analyze")
    if found is None and os.environ.get("WARMUP_LAB") == "require":
        pytest.fail("systemd-analyze is missing; bash tests/lab/packages.sh installs it", pytrace=False)
    if found is None:
        pytest.skip("systemd-analyze is missing; bash tests/lab/packages.sh installs it")
    return found


def unit_here(folder: Path, text: str) -> Path:
    """The unit as a file, its program replaced by one that exists on this machine if warmup is not installed there."""
    here = Path(sys.executable).with_name("warmup")
    unit = folder / UNIT.name
    unit.write_text(text if Path(INSTALLED).exists() else text.replace(INSTALLED, str(here)))
    return unit


def said(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path, analyze: str) -> None:
    assert said(analyze, "verify", unit_here(tmp_path, UNIT.read_text())) == (0, "")


def test_systemd_would_have_said_so(tmp_path: Path, analyze: str) -> None:
    broken = UNIT.read_text().replace("LoadCredential=", "LoadCredentials=")
    _, words = said(analyze, "verify", unit_here(tmp_path, broken))
    assert "LoadCredentials" in words


def test_the_service_can_reach_little_besides_its_state_and_the_network(tmp_path: Path, analyze: str) -> None:
    # systemd.exec(5)'s score, 0 to 10 in tenths here: under 2.0 is "OK", the best a service with a network gets.
    unit = unit_here(tmp_path, UNIT.read_text())
    code, words = said(analyze, "security", "--offline=true", "--threshold=19", "--no-pager", unit)
    assert code == 0, words


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "LoadCredential=warmup.key:/etc/warmup/warmup.key",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "StateDirectory=warmup",
        "Restart=on-failure",
        "WatchdogSec=2min",
        "LimitCORE=0",
    ],
)
def test_what_operators_rely_on_stands_in_the_unit(line: str) -> None:
    assert line in UNIT.read_text().splitlines()
