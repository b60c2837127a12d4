"""A receiver of another make, for tests: `calm`, or from a day on it `turns`, `ends`, `babbles`, `lies` or `hangs`."""

import json
import sys
import time


def main(mood: str, first: int = 10**6, days: int = 10**6) -> None:
    """Answer line by line until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        is_on = first <= asked["day"] < first + days
        if is_on and mood == "ends":
            return
        if is_on and mood == "hangs":
            time.sleep(600)
        seen = [_fate(lane, mood=mood if is_on else "calm") for lane in asked["sent"]]
        print("what?" if is_on and mood == "babbles" else json.dumps({"seen": seen}), flush=True)


def _fate(lane: dict[str, int], *, mood: str) -> dict[str, object]:
    n = lane["n"]
    spam = {"turns": n, "lies": n + 1}.get(mood, 0)
    control = lane["control"]
    return {
        "mailbox": lane["mailbox"],
        "provider": lane["provider"],
        "inbox": n - spam if mood != "lies" else n,
        "spam": spam,
        "missing": 0,
        "deferred": 0,
        "refused": 0,
        "complaints": 0,
        "control": {"inbox": 0 if spam else control, "spam": control if spam else 0},
    }


if __name__ == "__main__":
    main(sys.argv[1], *(int(each) for each in sys.argv[2:]))
