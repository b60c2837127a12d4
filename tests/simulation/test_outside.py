"""A receiver that is a program: what it is asked, and how long it may think."""

import json
import sys
from pathlib import Path

import pytest

from warmup.cli.faults import Exit, Fault
from warmup.cli.simulation.outside import Outside
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Trial
from warmup.policy.ramp import ramp_named
from warmup.world import built_in

RECEIVER = Path(__file__).with_name("receiver.py")
STANDARD = Trial(ramp=ramp_named("standard"), controller="adaptive", target=20)


def test_a_silent_receiver_ends_the_run() -> None:
    hangs = Outside(f"{sys.executable} {RECEIVER} hangs 2", told=lambda _: None, silence_seconds=0.5)
    with pytest.raises(Fault, match="said nothing") as caught:
        hangs.accounts(Setting(world=built_in("gentle"), mailboxes=1, days=3, seed=1), [STANDARD])
    assert caught.value.code is Exit.UNREACHABLE


def test_it_is_asked_one_line_a_day_about_every_lane(tmp_path: Path) -> None:
    kept = tmp_path / "asked.jsonl"
    echo = tmp_path / "echo.py"
    echo.write_text(
        "import json, sys\n"
        f"with open({str(kept)!r}, 'w') as kept:\n"
        "    for line in sys.stdin:\n"
        "        kept.write(line)\n"
        "        sent = json.loads(line)['sent']\n"
        "        seen = [{'mailbox': e['mailbox'], 'provider': e['provider'], 'inbox': e['n'], 'spam': 0,\n"
        "                 'missing': 0, 'deferred': 0, 'refused': 0, 'complaints': 0} for e in sent]\n"
        "        print(json.dumps({'seen': seen}), flush=True)\n"
    )
    setting = Setting(world=built_in("mixed"), mailboxes=4, days=12, seed=1)
    (account,) = Outside(f"{sys.executable} {echo}", told=lambda _: None).accounts(setting, [STANDARD])
    asked = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [line["day"] for line in asked] == list(range(1, 13))
    for line in asked:
        lanes = {(entry["mailbox"], entry["provider"]) for entry in line["sent"]}
        assert lanes == {(box, name) for box in range(4) for name in setting.receivers}
        assert all(entry["domain"] == entry["mailbox"] // 3 for entry in line["sent"])
        assert all(0 <= entry["control"] <= entry["n"] for entry in line["sent"])
    assert (
        sum(entry["n"] for line in asked for entry in line["sent"]) == account.counts["sent"] == account.counts["inbox"]
    )
    assert 0 < sum(entry["replies"] for line in asked for entry in line["sent"]) <= 0.3 * account.counts["inbox"]
