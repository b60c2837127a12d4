"""A provider's daily limit and greylisting, as a Postfix policy service: `python policy_service.py SOCKET CONTROL LOG`.

Speaks the protocol of Postfix's SMTPD_POLICY_README. CONTROL is a JSON file the tests replace at will:
`window_seconds` (the 24 hours, in real seconds), `limits` (login to messages in any window), `greylist` (recipient
or its domain to the seconds a new pair must wait). It is read for every question. What was counted and what was refused
goes to LOG, one JSON object a line.

A message counts when it is complete (END-OF-MESSAGE), and is refused there too if others came in between: sessions that
run side by side cannot slip past the limit together.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, TextIO

OVER_LIMIT = "550 5.4.5 Daily user sending quota exceeded"
COME_BACK = "451 4.7.1 Greylisted, please try again later"
NO_OPINION = "DUNNO"


class Policy:
    """What the provider remembers: when each login's messages were taken, when each pair was first seen."""

    def __init__(self, control: Path, log: TextIO) -> None:
        self._control = control
        self._log = log
        self._taken: dict[str, deque[float]] = {}
        self._first_seen: dict[tuple[str, str], float] = {}

    def answer(self, asked: dict[str, str], now: float) -> str:
        """The action for one question of Postfix; `now` in seconds since the epoch."""
        control = json.loads(self._control.read_text())
        login = asked.get("sasl_username", "").lower()
        if not login:
            return NO_OPINION
        if asked.get("protocol_state") == "END-OF-MESSAGE":
            action = self._count(login, asked, control, now)
        else:
            action = self._admit(login, asked, control, now)
        return action

    def _admit(self, login: str, asked: dict[str, str], control: dict[str, Any], now: float) -> str:
        if self._used(login, control, now) >= control["limits"].get(login, float("inf")):
            return self._refused(OVER_LIMIT, login, asked, now)
        recipient = asked.get("recipient", "").lower()
        wait = control["greylist"].get(recipient, control["greylist"].get(recipient.rpartition("@")[2]))
        if wait is not None and now - self._first_seen.setdefault((login, recipient), now) < wait:
            return self._refused(COME_BACK, login, asked, now)
        return NO_OPINION

    def _count(self, login: str, asked: dict[str, str], control: dict[str, Any], now: float) -> str:
        used = self._used(login, control, now)
        if used >= control["limits"].get(login, float("inf")):
            return self._refused(OVER_LIMIT, login, asked, now)
        self._taken.setdefault(login, deque()).append(now)
        self._say(event="counted", login=login, queue_id=asked.get("queue_id"), used=used + 1, at=now)
        return NO_OPINION

    def _used(self, login: str, control: dict[str, Any], now: float) -> int:
        taken = self._taken.setdefault(login, deque())
        return sum(instant > now - control["window_seconds"] for instant in taken)

    def _refused(self, answer: str, login: str, asked: dict[str, str], now: float) -> str:
        self._say(event="refused", login=login, recipient=asked.get("recipient"), answer=answer, at=now)
        return answer

    def _say(self, **fact: object) -> None:
        self._log.write(json.dumps(fact) + "\n")
        self._log.flush()


async def converse(policy: Policy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the questions of one smtpd until it hangs up."""
    asked: dict[str, str] = {}
    with contextlib.suppress(ConnectionError):
        async for raw in reader:
            if line := raw.decode(errors="replace").rstrip("\n"):
                name, _, value = line.partition("=")
                asked[name] = value
                continue
            writer.write(f"action={policy.answer(asked, time.time())}\n\n".encode())
            await writer.drain()
            asked = {}
    writer.close()


async def serve(socket: Path, control: Path, log: Path) -> None:
    """Listen on `socket` until ended."""
    with log.open("a") as lines:
        policy = Policy(control, lines)
        # Postfix's smtpd is another user.
        os.umask(0)
        server = await asyncio.start_unix_server(lambda r, w: converse(policy, r, w), path=socket)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*(Path(argument) for argument in sys.argv[1:4])))
