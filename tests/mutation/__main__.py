"""`python -m tests.mutation [MODULE …] [--all] [--seed S]`: how many small errors the unit tests notice.

mutmut changes one thing in a copy of the tree and runs the unit tests of the area that meet the changed function, none
of those that need a server of Debian's. Of a large area a sample is tried, drawn with a seed, since every mutant costs
a run; `--all` tries each. A mutant that is noticed, by a failure or by a time-out, is killed; one that no test meets is
not; the score is the share of the killed. Exits 1 below 85 %.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent
_BUILD = _ROOT / "build" / "mutation"
_NEEDED_RATIO = 0.85
_SAMPLE = 150
_PRELOADED = Path(__file__).with_name("preloaded.txt")
# What a busy machine may need before the first test, times mutmut's own factor of 15: no time-out of what only starts.
_LONGEST_START_SECONDS = 5.0
# What mutmut's `exit_code_by_key` says of a mutant: pytest's code, or a signal that ended it.
_SURVIVED = 0
_UNTESTED = (5, 33)
_UNTRIED = (None, 34)


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """What is mutated, less what is not, and the unit tests that should notice."""

    name: str
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    spared: tuple[str, ...] = ()


AREAS = (
    Area(name="policy/quota", sources=("warmup/policy/quota.py",), tests=("tests/policy/test_quota.py",)),
    Area(name="policy/retry", sources=("warmup/policy/retry.py",), tests=("tests/policy/test_retry.py",)),
    Area(name="steps/send", sources=("warmup/steps/send.py",), tests=("tests/steps/test_send.py",)),
    Area(
        name="ledger",
        sources=("warmup/ledger/*.py",),
        tests=("tests/ledger",),
        # Only a PostgreSQL meets these, and no unit test has one.
        spared=("warmup/ledger/copying.py", "warmup/ledger/session_lock.py"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of an area's mutants: of `there`, `killed` and `survived` were tried; the rest was not drawn."""

    area: str
    there: int
    killed: int
    survived: int
    left: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """The share that was noticed, 0 to 1."""
        return self.killed / max(1, self.killed + self.survived)


def tried(area: Area, *, sample: int | None, seed: str) -> Score:
    """Mutate one area in a copy of the tree, and run what is drawn."""
    tree = _BUILD / area.name.replace("/", "-")
    shutil.rmtree(tree, ignore_errors=True)
    _copy(tree)
    _configure(tree, area)
    # Told a name that no mutant has, it makes them all and runs none.
    _mutmut(tree, "none.of.them")
    names = sorted(_codes(tree))
    if not names:
        raise SystemExit(f"error: mutmut found nothing to change in {area.name}; look at {tree / 'mutmut.log'}")
    drawn = names if sample is None or len(names) <= sample else random.Random(seed).sample(names, sample)
    _mutmut(tree, *drawn)
    if survivors := [name for name, code in _codes(tree).items() if code == _SURVIVED]:
        _try_from_the_import_on(tree)
        _mutmut(tree, *survivors)
    codes = _codes(tree)
    untried = [name for name in drawn if codes[name] in _UNTRIED]
    if untried:
        raise SystemExit(f"error: {len(untried)} mutants of {area.name} were not tried; see {tree / 'mutmut.log'}")
    left = tuple(name for name in drawn if codes[name] == _SURVIVED or codes[name] in _UNTESTED)
    return Score(area=area.name, there=len(names), killed=len(drawn) - len(left), survived=len(left), left=left)


def table(scores: Iterable[Score]) -> str:
    """The scores as lines of text, and below each what survived."""
    lines = [f"{'module':<14} {'mutants':>7} {'tried':>6} {'killed':>6} {'score':>6}"]
    for score in scores:
        counts = f"{score.there:>7} {score.killed + score.survived:>6} {score.killed:>6}"
        lines.append(f"{score.area:<14} {counts} {score.ratio:>6.0%}")
        lines += [f"    survived: {name}" for name in score.left]
    return "\n".join(lines)


def _copy(tree: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (source := _ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / name)


def _configure(tree: Path, area: Area) -> None:
    """Tell mutmut, in the copy's pyproject.toml alone."""
    told = {
        "source_paths": ["warmup"],
        "only_mutate": list(area.sources),
        "do_not_mutate": list(area.spared),
        "also_copy": ["migrations", "config.example.toml", "deploy", "README.md"],
        "pytest_add_cli_args": ["-m", "not lab"],
        "pytest_add_cli_args_test_selection": list(area.tests),
        "timeout_constant": _LONGEST_START_SECONDS,
        "process_isolation": "fork",
        "forkserver_warmup": "import",
        "preload_modules_file": str(_PRELOADED),
    }
    lines = ["", "[tool.mutmut]", *(f"{name} = {json.dumps(value)}" for name, value in told.items())]
    with (tree / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join([*lines, "use_git_change_detection = false", ""]))


def _mutmut(tree: Path, *names: str) -> None:
    """Run it on the names given; what it says goes to mutmut.log."""
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "2", *names]
    environ = {**os.environ, "HYPOTHESIS_PROFILE": "dev", "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    with (tree / "mutmut.log").open("ab") as log:
        subprocess.run(command, cwd=tree, env=environ, stdout=log, stderr=log, check=False)


def _try_from_the_import_on(tree: Path) -> None:
    """Let the next be forked from a process that has imported nothing of ours, which is slow.

    The ledger's statements are built as it is imported: a mutant of what builds them never shows in a process forked
    after that. mutmut counts such a call as one of the first test's alone, though any test uses what was built.
    """
    told = tree / "pyproject.toml"
    text = told.read_text(encoding="utf-8")
    told.write_text(text.replace('process_isolation = "fork"', 'process_isolation = "forkserver"'), encoding="utf-8")
    path = tree / "mutants" / "mutmut-stats.json"
    stats = json.loads(path.read_text(encoding="utf-8"))
    tests = list(stats["duration_by_test"])
    for name, met in stats["tests_by_mangled_function_name"].items():
        if met == tests[:1]:
            stats["tests_by_mangled_function_name"][name] = tests
    path.write_text(json.dumps(stats), encoding="utf-8")


def _codes(tree: Path) -> dict[str, int | None]:
    """What became of every mutant: mutmut's exit codes by name."""
    codes: dict[str, int | None] = {}
    for meta in (tree / "mutants" / "warmup").rglob("*.meta"):
        codes |= json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
    return codes


def main(arguments: Sequence[str]) -> int:
    """Try the areas asked for, one after the other; the table at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(area.name for area in AREAS)}")
    parser.add_argument("--all", action="store_true", help="try every mutant, not a sample")
    parser.add_argument("--sample", type=int, default=_SAMPLE, help="how many of an area's mutants are tried")
    parser.add_argument("--seed", default="mutation")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.modules) - {area.name for area in AREAS}):
        sys.stderr.write(f"error: no module {', '.join(unknown)}; there are {', '.join(a.name for a in AREAS)}\n")
        return 2
    scores: list[Score] = []
    for area in (each for each in AREAS if not asked.modules or each.name in asked.modules):
        scores.append(tried(area, sample=None if asked.all else asked.sample, seed=asked.seed))
        sys.stderr.write(f"{area.name}: {scores[-1].ratio:.0%}\n")
    sys.stdout.write(table(scores) + "\n")
    return 0 if all(score.ratio >= _NEEDED_RATIO for score in scores) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
