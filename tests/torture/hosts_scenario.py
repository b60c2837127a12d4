"""Every way in which somebody may send us to a server of their choice inside our network.

Played in a network namespace of its own (unshare(1), as root), so that private addresses can have servers, and public
ones need not be the world's.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.torture.outcome import Form, Outcome

_PATIENCE_SECONDS = 480


def unavailable() -> str | None:
    """Why it cannot be played here, or None."""
    if os.geteuid() != 0:
        return "a network of its own needs root"
    return next((f"{name} is missing" for name in ("unshare", "ip") if shutil.which(name) is None), None)


def run(form: Form, folder: Path) -> Outcome:
    """Try them all, whatever the form; each server that should not be connected to and was is a breach."""
    folder.mkdir(exist_ok=True)
    command = ["unshare", "--net", sys.executable, "-m", "tests.torture.hosts_inside", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        return Outcome(scenario="hosts", tries=1, breaches=1, broken=(f"it did not come to its end: {lines[-1]}",))
    told = json.loads(done.stdout.splitlines()[-1])
    return Outcome(
        scenario="hosts",
        tries=told["tries"],
        breaches=len(told["broken"]),
        figures=f"{told['tries']} ways to hosts that are not public; a public one was reached {told['public']} times",
        broken=tuple(told["broken"][:20]),
    )
