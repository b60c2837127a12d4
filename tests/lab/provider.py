"""The provider's own rules, steered from the tests: daily limits per login and greylisting per domain."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.layout import Layout, until

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One answer of the policy service other than yes. `at` is in seconds since the epoch."""

    login: str
    recipient: str
    answer: str
    at: float


class Provider:
    """The running policy service. A new rule is in force for the next question."""

    def __init__(self, layout: Layout) -> None:
        folder = layout.root / "policy"
        folder.mkdir()
        self._layout = layout
        self._control, self._log = folder / "control.json", folder / "policy.log"
        self._rules: dict[str, object] = {"window_seconds": DAY_SECONDS, "limits": {}, "greylist": {}}
        self._say()
        program = Path(__file__).with_name("policy_service.py")
        command = [sys.executable, str(program), str(layout.policy_socket), str(self._control), str(self._log)]
        with (layout.run / "policy.out").open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def ready(self) -> None:
        """Wait until it listens; raises LabFailed."""
        until(
            self._layout.policy_socket.exists,
            seconds=20,
            what="the policy service listens",
            log=self._layout.run / "policy.out",
        )

    def stop(self) -> None:
        """End it and wait for the end."""
        self._process.terminate()
        self._process.wait(timeout=10)

    def limit(self, limits: Mapping[str, int], *, speed: float) -> None:
        """Allow each login so many messages in any 24 hours of a clock that runs `speed` times as fast as ours."""
        self._rules |= {"limits": dict(limits), "window_seconds": DAY_SECONDS / speed}
        self._say()

    def greylist(self, domain: str, *, seconds: float) -> None:
        """Put every new pair of login and recipient (at) `domain` off for `seconds` of real time."""
        self._rules |= {"greylist": {domain: seconds}}
        self._say()

    def relax(self) -> None:
        """No limits and no greylisting any more."""
        self._rules |= {"limits": {}, "greylist": {}}
        self._say()

    def refused(self) -> list[Refused]:
        """Everything it said no to, in order."""
        facts = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [
            Refused(login=fact["login"], recipient=fact["recipient"], answer=fact["answer"], at=fact["at"])
            for fact in facts
            if fact["event"] == "refused"
        ]

    def _say(self) -> None:
        draft = self._control.with_suffix(".new")
        draft.write_text(json.dumps(self._rules))
        draft.replace(self._control)
