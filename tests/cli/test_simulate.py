"""`warmup simulate`, from outside: its figures, its worlds and files, and a receiver that is a program."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Desk

RECEIVER = Path(__file__).parents[1] / "simulation" / "receiver.py"


def simulated(desk: Desk, *arguments: str) -> Any:
    ended = desk.warmup("simulate", *arguments, "--json")
    assert ended.code == 0, ended.err
    return ended.document


def receiver(*mood: str) -> str:
    return " ".join([sys.executable, str(RECEIVER), *mood])


def test_ramps_and_controllers_are_compared_over_the_same_seeds(desk: Desk) -> None:
    told = simulated(
        desk, "--ramp", "standard", "--ramp", "auto", "--against", "blind,notch,stage", "--mailboxes", "2",
        "--days", "20", "--target", "20", "--world", "strict", "--seed", "3",
    )  # fmt: skip
    assert (told["world"], told["days"], told["seed"], told["target"]) == ("strict", 20, 3, 20)
    said = [(entry["ramp"], entry["controller"]) for entry in told["ramps"]]
    assert said == [
        (ramp, by) for ramp in ("standard", "auto") for by in ("adaptive", "blind", "notch", "stage")
    ]  # fmt: skip
    for entry in told["ramps"]:
        assert entry["value"] == pytest.approx(entry["inbox"] - 5 * (entry["spam"] + entry["complaints"]), abs=0.01)
        assert entry["sent"] == pytest.approx(entry["inbox"] + entry["spam"] + entry["missing"], abs=0.01)
        assert entry["braked_within_days"] is None
        assert entry["recovered_share"] is None


def test_the_same_seed_gives_the_same_figures_and_another_does_not(desk: Desk) -> None:
    same = ["--ramp", "fast", "--mailboxes", "3", "--days", "15", "--world", "mixed"]
    first = desk.warmup("simulate", *same, "--json").out
    assert desk.warmup("simulate", *same, "--json").out == first
    assert desk.warmup("simulate", *same, "--seed", "8", "--json").out != first


def test_the_best_in_hindsight_is_worth_at_least_what_any_blind_preset_is(desk: Desk) -> None:
    told = simulated(desk, "--ramp", "standard", "--blind", "--hindsight", "--mailboxes", "1", "--days", "12",
                     "--target", "10")  # fmt: skip
    blind, best = told["ramps"][1:]
    assert (blind["controller"], best["controller"]) == ("blind", "best-in-hindsight")
    assert best["value"] >= blind["value"]


def test_people_get_a_chart_and_a_table_and_each_ramp_its_own_end(desk: Desk) -> None:
    ended = desk.warmup("simulate", "--mailboxes", "1", "--days", "10")
    assert ended.code == 0
    for ramp in ("careful", "standard", "fast", "auto"):
        assert f"{ramp} adaptive" in " ".join(ended.out.split())
    assert "█" in ended.out
    assert "spam share" in ended.out


def test_a_world_is_a_file_of_the_same_form(desk: Desk) -> None:
    (desk.folder / "mine.toml").write_text(WORLD)
    told = simulated(desk, "--ramp", "fast", "--world", "mine.toml", "--mailboxes", "4", "--days", "30")
    assert told["world"] == "mine"
    (entry,) = told["ramps"]
    assert entry["braked_within_days"]["p95"] <= 2
    assert entry["recovered_share"] is not None


WORLD = """
name = "mine"
[[receiver]]
name = "r"
base_spam = 0.01
quiet_volume = 10
tolerance = 2
pressure = 1
distrust = 2
trust = 0.6
trust_gain = 0.01
trust_loss = 0.02
memory_days = 4
defer_at = 4
[[event]]
day = 15
days = 5
shock = 9
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WORLD + "surprise = 1\n", "unknown key surprise"),
        (WORLD.replace("tolerance = 2\n", ""), "missing key tolerance"),
        ("no toml", "is no TOML"),
    ],
)
def test_a_file_that_is_no_world_is_bad_input(desk: Desk, text: str, said: str) -> None:
    (desk.folder / "w.toml").write_text(text)
    ended = desk.warmup("simulate", "--world", "w.toml")
    assert (ended.code, ended.out, len(ended.errors)) == (65, "", 1)
    assert said in ended.err
    assert desk.warmup("simulate", "--world", "./none.toml").code == 65


@pytest.mark.parametrize(
    "wrong", [("--world", "nowhere"), ("--ramp", "steep"), ("--against", "everybody"), ("--days", "0")]
)
def test_wrong_usage_is_said_in_one_line(desk: Desk, wrong: tuple[str, str]) -> None:
    ended = desk.warmup("simulate", *wrong)
    assert (ended.code, len(ended.errors)) == (2, 1)


def test_a_program_takes_the_worlds_place(desk: Desk) -> None:
    calm = simulated(desk, "--ramp", "standard", "--blind", "--days", "25", "--mailboxes", "2", "--receiver",
                     receiver("calm"))  # fmt: skip
    adaptive, blind = calm["ramps"]
    assert adaptive["spam"] == 0
    assert adaptive["inbox"] > 0.8 * blind["inbox"]
    assert adaptive["false_brakes_per_lane_week"] is None
    turned = simulated(desk, "--ramp", "standard", "--blind", "--days", "25", "--mailboxes", "2", "--receiver",
                       receiver("turns", "15", "5"))  # fmt: skip
    adaptive, blind = turned["ramps"]
    assert adaptive["spam"] < 0.5 * blind["spam"]


@pytest.mark.parametrize(
    ("mood", "code", "said"),
    [
        (("ends", "3"), 69, "it ended"),
        (("babbles", "3"), 65, "no JSON"),
        (("lies", "3"), 65, "more was seen"),
    ],
)
def test_a_receiver_that_does_not_keep_to_the_protocol_ends_the_run(
    desk: Desk, mood: tuple[str, str], code: int, said: str
) -> None:
    ended = desk.warmup("simulate", "--ramp", "fast", "--days", "5", "--receiver", receiver(*mood))
    assert (ended.code, ended.out, len(ended.errors)) == (code, "", 1)
    assert said in ended.err


def test_a_receiver_that_cannot_be_started_is_bad_input(desk: Desk) -> None:
    ended = desk.warmup("simulate", "--receiver", "./no-such-program --x")
    assert (ended.code, len(ended.errors)) == (65, 1)


def test_the_schema_is_printed(desk: Desk) -> None:
    assert json.loads(desk.warmup("schema", "simulate").out)["$id"] == "warmup.simulate/1"
