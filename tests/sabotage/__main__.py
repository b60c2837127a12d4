"""`python -m tests.sabotage [NAME …]`: every safeguard taken out once, to see that its scenario notices.

Each `NAME.patch` here is a text header with a line `Scenario: NAME` and a git diff against `warmup/`. It is applied to
a copy of the tree, and the scenario's short form is run there on the copy's code. The safeguard is believed only if the
scenario goes red by what it counts: a crash, a time-out and a patch that no longer applies are failures here. Exits 1
if there is any.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parent.parent
_PATIENCE_SECONDS = 900
_SCENARIO = re.compile(r"^Scenario: (\w+)$", re.MULTILINE)
# A line of tests.torture's table: name, tries, losses, doubles, breaches, figures.
_LINE = re.compile(r"^(?P<scenario>\S.*?) +(\d+) +(?P<losses>\d+) +(?P<doubles>\d+) +(?P<breaches>\d+)(?:  |$)")


class NotSeen(Exception):
    """The sabotage was not tried, or its scenario did not count it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One patch: `seen` if its scenario counted what it broke; `found` says what, or what went wrong."""

    patch: str
    scenario: str
    seen: bool
    found: str


def names() -> list[str]:
    """The patches there are."""
    return sorted(path.stem for path in _HERE.glob("*.patch"))


def scenario_of(name: str) -> str:
    """The scenario that has to notice the patch. Raises NotSeen where its header names none."""
    header, _, _ = (_HERE / f"{name}.patch").read_text(encoding="utf-8").partition("\ndiff --git ")
    named = _SCENARIO.search(header)
    if named is None:
        raise NotSeen("its header has no line `Scenario: NAME`")
    return named.group(1)


def tried(name: str) -> Verdict:
    """The patch applied to a copy of the tree, and its scenario run there."""
    scenario = "?"
    with tempfile.TemporaryDirectory(prefix=f"sabotage-{name}-") as folder:
        try:
            scenario = scenario_of(name)
            tree = copied(Path(folder) / "tree")
            apply(name, tree)
            return Verdict(patch=name, scenario=scenario, seen=True, found=counted(scenario, tree))
        except NotSeen as reason:
            return Verdict(patch=name, scenario=scenario, seen=False, found=str(reason))


def copied(tree: Path) -> Path:
    """A copy of every file that git keeps or would keep, as it is now."""
    listed = _ended(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], _ROOT)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = _ROOT / name, tree / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return tree


def apply(name: str, tree: Path, *, check_only: bool = False) -> None:
    """Apply the patch in `tree`, and to `warmup/` alone. Raises NotSeen where it does not fit, or touches more."""
    patch = str(_HERE / f"{name}.patch")
    touched = _ended(["git", "apply", "--numstat", "-z", patch], tree)
    if touched.returncode != 0:
        raise NotSeen(f"the patch is none: {_last(touched.stderr)}")
    files = [line.split("\t")[-1] for line in touched.stdout.split("\0") if line]
    if strangers := [file for file in files if not file.startswith("warmup/")]:
        raise NotSeen(f"the patch touches more than warmup/: {', '.join(strangers)}")
    # A line of context is enough: what the patch takes out has to be there, whatever was written around it.
    done = _ended(["git", "apply", "-C1", *(["--check"] if check_only else []), patch], tree)
    if done.returncode != 0:
        raise NotSeen(f"the patch does not apply any more: {_last(done.stderr)}")


def counted(scenario: str, tree: Path) -> str:
    """What the scenario's short form counted in `tree`. Raises NotSeen where it held or did not come to its end."""
    where = _ended([sys.executable, "-c", "import warmup; print(warmup.__file__)"], tree).stdout.strip()
    if not Path(where).is_relative_to(tree):
        raise NotSeen(f"the copy's code is not what runs, but {where}")
    try:
        done = _ended([sys.executable, "-m", "tests.torture", scenario, "--short"], tree)
    except subprocess.TimeoutExpired:
        raise NotSeen(f"the scenario did not end within {_PATIENCE_SECONDS} s") from None
    line = next((found for text in done.stdout.splitlines() if (found := _LINE.match(text))), None)
    if line is None:
        raise NotSeen(f"the scenario ended with {done.returncode} and no table: {_last(done.stderr)}")
    counts = {what: int(line[what]) for what in ("losses", "doubles", "breaches")}
    if done.returncode == 0 or not any(counts.values()):
        raise NotSeen(f"the scenario held: {line.string}")
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def table(verdicts: Iterable[Verdict]) -> str:
    """The verdicts as lines of text."""
    rows = [(each.patch, each.scenario, "" if each.seen else "NOT SEEN: ", each.found) for each in verdicts]
    widths = [max(len(row[column]) for row in [("patch", "scenario"), *rows]) for column in (0, 1)]
    lines = [f"{'patch':<{widths[0]}}  {'scenario':<{widths[1]}}  what it counted"]
    lines += [f"{patch:<{widths[0]}}  {scenario:<{widths[1]}}  {mark}{found}" for patch, scenario, mark, found in rows]
    return "\n".join(lines)


def _ended(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, on the code that lies there, whatever is installed."""
    environ = {**os.environ, "PYTHONPATH": str(folder), "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=pipe, stderr=pipe, text=True, process_group=0
    ) as run:
        try:
            stdout, stderr = run.communicate(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            # With the daemons and servers that it started.
            os.killpg(run.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, run.returncode, stdout, stderr)


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def main(arguments: list[str]) -> int:
    """Try what was asked for, or everything; say each verdict as it comes and all of them at the end."""
    asked = arguments or names()
    if unknown := sorted(set(asked) - set(names())):
        sys.stderr.write(f"error: no patch {', '.join(unknown)}; there are {', '.join(names())}\n")
        return 2
    if not asked:
        sys.stderr.write("error: there is no patch beside this module; add one\n")
        return 1
    verdicts: list[Verdict] = []
    for name in asked:
        verdicts.append(tried(name))
        sys.stderr.write(f"{name}: {'seen' if verdicts[-1].seen else 'NOT SEEN'}\n")
    sys.stdout.write(table(verdicts) + "\n")
    return 0 if all(each.seen for each in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
