"""The README's tables against the program: what it names exists, and what exists is named."""

import re
from importlib import import_module
from pathlib import Path

import typer

from warmup.cli.app import VERBS
from warmup.cli.faults import Exit
from warmup.metrics import Figures, Process, exposition
from warmup.policy.ramp import ramp_named

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under `## title`, up to the next one."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    """The first cell of every table row, without heads and rules."""
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in text.splitlines() if line.startswith("|")]
    return [cell for cell in cells if cell not in ("verb", "exit", "name") and set(cell) != {"-"}]


def leaves(verb: str) -> set[str]:
    """`db` gives {"db current", …}; a verb without verbs of its own gives itself."""
    command = typer.main.get_command(import_module(VERBS[verb][0]).app)
    inner = getattr(command, "commands", {})
    return {f"{verb} {name}" for name in inner} or {verb}


def test_the_table_of_verbs_names_every_verb_and_no_other() -> None:
    named: set[str] = set()
    for cell in first_cells(section("Verbs")):
        noun = ""
        for said in re.findall(r"`([a-z][^`]*)`", cell):
            words = said.split()
            noun = words[0] if words[0] in VERBS else noun
            sub = words[1] if words[0] in VERBS and len(words) > 1 else words[0]
            named.add(f"{noun} {sub}" if noun in ("mailbox", "config", "db", "oauth", "backup", "secrets") else noun)
    assert named == set().union(*(leaves(verb) for verb in VERBS))


def test_the_table_of_exit_codes_is_the_programs() -> None:
    assert [int(cell) for cell in first_cells(section("Verbs")) if cell.isdigit()] == [int(code) for code in Exit]


def test_every_metric_of_the_readme_is_exposed() -> None:
    process = Process()
    shown = set(re.findall(r"^# TYPE (\S+)", exposition(Figures(), process).decode(), re.MULTILINE))
    shown = {name for name in shown if not name.endswith("_created")}  # the library's companions of a histogram
    told = {name for cell in first_cells(section("Metrics")) for name in re.findall(r"`(warmup_\w+)`", cell)}
    assert told <= shown
    assert shown - told == set()


def test_the_ramps_of_the_readme_are_the_programs() -> None:
    said = re.findall(r"`(\w+)`\s+\((\d+), [+×]([\d.]+)(?: a day)?, to ([\d,]+)\)", README)
    assert {name for name, *_ in said} == {"careful", "standard", "fast", "esp"}
    for name, start, _, limit in said:
        ramp = ramp_named(name)
        assert (ramp.ceiling(1), ramp.ceiling(1_000)) == (int(start), int(limit.replace(",", "")))


def test_make_has_what_the_readme_tells_to_make() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake (demo|test|help|unit|lab|bench|lint)\b", README)) <= targets
    assert {"demo", "test"} <= targets
