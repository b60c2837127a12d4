"""A receiver of another make: a program that answers one JSON line a day (CONTRACT, `simulate --json`).

It is given what every lane sends on a day, and tells what became of it. Placements become known at the day's end, a
missing message a day later; of messages that were refused or deferred for good nothing else is known. In what order a
day's messages fared nobody says, so they are spread evenly. `control` counts are part of `inbox` and `spam`. Replies
are those of our own seeds: three in ten of the treated messages that reached the inbox the day before. Nothing is
rescued.

Ends with 65 for a line that is none, 69 where the program ends or says nothing for 30 seconds.
"""

import json
import os
import selectors
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

from warmup.cli.faults import Exit, Fault, bad_input
from warmup.cli.simulation.course import LOOKS, MORNING, OPENS, Controller
from warmup.cli.simulation.measures import Account, account_of
from warmup.cli.simulation.post import Learnt
from warmup.cli.simulation.setting import MINUTES, Setting
from warmup.cli.simulation.tally import Course, Tally, graver
from warmup.cli.simulation.trial import Trial, controller_of
from warmup.policy.evidence import Sign
from warmup.policy.thread import REPLY_SHARE

SILENCE_SECONDS: Final = 30.0
SEEDS, CONTROLS = 20, 2
_LONGEST: Final = 64 * 1024 * 1024
_COUNTS: Final = ("inbox", "spam", "missing", "deferred", "refused")


class Outside:
    """Does trials against `command`, which is started anew for each; `told` is called with mailbox-days done."""

    def __init__(self, command: str, *, told: Callable[[int], None], silence_seconds: float = SILENCE_SECONDS) -> None:
        self._command, self._told, self._silence = command, told, silence_seconds

    def accounts(self, setting: Setting, trials: Sequence[Trial]) -> list[Account]:
        """What each trial adds up to over all mailboxes. Raises Fault."""
        accounts = []
        for trial in trials:
            with _started(self._command, self._silence) as receiver:
                accounts.append(_account(receiver, setting, trial, self._told))
        return accounts


class _Program:
    """The running program: a line in, a line out."""

    def __init__(self, process: "subprocess.Popen[bytes]", silence: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout, self._silence = process.stdin, process.stdout, silence
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._rest = b""

    def ask(self, question: Mapping[str, Any]) -> Any:
        """The answer to one line; raises Fault."""
        try:
            self._stdin.write(json.dumps(question, separators=(",", ":")).encode() + b"\n")
            self._stdin.flush()
        except BrokenPipeError:
            raise _gone("it ended") from None
        line = self._line()
        try:
            return json.loads(line)
        except ValueError:
            said = line[:60].decode("utf-8", "replace").strip()
            raise bad_input(f"the receiver's line is no JSON: {said!r}", "it answers one JSON object a line") from None

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            if not self._selector.select(self._silence):
                raise _gone(f"it said nothing for {self._silence:g} s")
            piece = os.read(self._stdout.fileno(), 1 << 16)
            if not piece:
                raise _gone("it ended")
            self._rest += piece
            if len(self._rest) > _LONGEST:
                raise bad_input("the receiver's line is longer than 64 MiB", "it answers one JSON object a line")
        line, _, self._rest = self._rest.partition(b"\n")
        return line


@contextmanager
def _started(command: str, silence: float) -> Iterator[_Program]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise bad_input(f"--receiver {command!r} is no command: {error}", "quote it as a shell would") from None
    if not words:
        raise bad_input("--receiver names no command", "give the program that answers, with its arguments")
    try:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 (the operator's)
    except OSError as error:
        raise bad_input(f"--receiver {words[0]}: {error.strerror}", "give the path of a program") from None
    try:
        yield _Program(process, silence)
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close its input, give it a moment, then end it: it is ours."""
    assert process.stdout is not None
    _close(process.stdin)
    try:
        process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _close(stream: IO[bytes] | None) -> None:
    try:
        if stream is not None:
            stream.close()
    except BrokenPipeError:
        pass


def _gone(why: str) -> Fault:
    return Fault("the receiver is gone", f"{why}; it must answer one line a day", code=Exit.UNREACHABLE)


@dataclass(slots=True)
class _House:
    """One domain: its controller, its course, what will be known of its messages, and what was written so far."""

    boxes: range
    controller: Controller
    course: Course
    unseen: list[Learnt]
    written: list[int]
    owed: list[float]


def _account(receiver: _Program, setting: Setting, trial: Trial, told: Callable[[int], None]) -> Account:
    width = len(setting.receivers)
    houses = [
        _House(boxes, controller_of(trial, setting, boxes), Course(boxes=boxes), [], [0] * n, [0.0] * n)
        for boxes in setting.domains()
        for n in (len(boxes) * width,)
    ]
    for day in range(1, setting.days + 1):
        _day(day, houses, receiver, setting)
        told(setting.mailboxes)
    whole = Account()
    for house in houses:
        whole.add(account_of(setting, house.course, target=trial.target))
    return whole


def _day(day: int, houses: Sequence[_House], receiver: _Program, setting: Setting) -> None:
    midnight = (day - 1) * MINUTES
    sent: list[dict[str, Any]] = []
    for house in houses:
        _look(house, midnight + MORNING)
        targets = house.controller.plan(day)
        house.course.days.append(
            [Tally(target=n, standing=house.controller.standing(lane)) for lane, n in enumerate(targets)]
        )
        sent += [_sent(house, lane, n, setting) for lane, n in enumerate(targets)]
    seen = _seen(receiver.ask({"day": day, "sent": sent}), sent)
    for house in houses:
        for lane, tally in enumerate(house.course.days[-1]):
            box, provider = _names(house, lane, setting)
            _reported(house, lane, tally, seen.get((box, provider), {}), midnight)
        _look(house, midnight + LOOKS[-1])
        for lane, tally in enumerate(house.course.days[-1]):
            tally.standing = graver(tally.standing, house.controller.standing(lane))
        house.controller.close(day, house.course.days[-1])


def _names(house: _House, lane: int, setting: Setting) -> tuple[int, str]:
    number, at = divmod(lane, len(setting.receivers))
    return house.boxes[number], setting.receivers[at]


def _sent(house: _House, lane: int, n: int, setting: Setting) -> dict[str, Any]:
    box, provider = _names(house, lane, setting)
    numbers = range(house.written[lane] + 1, house.written[lane] + n + 1)
    house.written[lane] += n
    replies = int(house.owed[lane])
    house.owed[lane] -= replies
    return {
        "mailbox": box,
        "domain": box // setting.world.mailboxes_per_domain,
        "provider": provider,
        "n": n,
        "replies": replies,
        "rescues": 0,
        "control": sum((number + box) % SEEDS >= SEEDS - CONTROLS for number in numbers),
    }


def _seen(answer: Any, sent: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], Mapping[str, Any]]:
    """The answer by lane, found to be one. A lane it does not name was not looked at."""
    asked = {(lane["mailbox"], lane["provider"]): lane["n"] for lane in sent}
    if not isinstance(answer, dict) or not isinstance(answer.get("seen"), list):
        raise _nonsense('it has no list "seen"')
    found: dict[tuple[int, str], Mapping[str, Any]] = {}
    for entry in answer["seen"]:
        if not isinstance(entry, dict):
            raise _nonsense('an entry of "seen" is no object')
        mailbox, provider = entry.get("mailbox"), entry.get("provider")
        if not isinstance(mailbox, int) or not isinstance(provider, str) or (mailbox, provider) not in asked:
            raise _nonsense(f"nothing was sent from mailbox {mailbox!r} to {provider!r}")
        _check(entry, asked[mailbox, provider])
        found[mailbox, provider] = entry
    return found


def _check(entry: Mapping[str, Any], n: int) -> None:
    counts = {name: entry.get(name, 0) for name in (*_COUNTS, "complaints")}
    control = entry.get("control") or {}
    if not isinstance(control, dict):
        raise _nonsense('"control" is an object of inbox and spam')
    parts = {name: control.get(name, 0) for name in ("inbox", "spam")}
    for name, count in (*counts.items(), *parts.items()):
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise _nonsense(f"{name} is a whole number of messages, not {count!r}")
    if sum(counts[name] for name in _COUNTS) > n:
        raise _nonsense(f"more was seen than the {n} that were sent")
    if any(parts[name] > counts[name] for name in parts):
        raise _nonsense("control messages are part of inbox and spam")


def _nonsense(what: str) -> Fault:
    return bad_input(f"the receiver's line cannot be believed: {what}", "see CONTRACT, `simulate --json`")


def _reported(house: _House, lane: int, tally: Tally, entry: Mapping[str, Any], midnight: float) -> None:
    """Count what was told, and let it be known in its time."""
    counts = {name: int(entry.get(name, 0)) for name in _COUNTS}
    control = entry.get("control") or {}
    tally.inbox, tally.spam, tally.missing = counts["inbox"], counts["spam"], counts["missing"]
    tally.deferred, tally.refused = counts["deferred"], counts["refused"]
    tally.complaints = int(entry.get("complaints", 0))
    tally.sent = max(0, tally.target - tally.deferred - tally.refused)
    tally.strangers, tally.stranger_spam = tally.inbox + tally.spam + tally.missing, tally.spam
    house.owed[lane] += REPLY_SHARE * (tally.inbox - int(control.get("inbox", 0)))
    first = house.written[lane] - tally.target
    at = midnight + OPENS
    for number, (sign, is_control) in enumerate(_spread(counts, control), start=first + 1):
        known_at = at + MINUTES if sign is Sign.MISSING else midnight + LOOKS[-1]
        house.unseen.append(Learnt(known_at, at, lane, number, sign, is_control))
    for number in range(first + 1, first + 1 + tally.complaints):
        house.unseen.append(Learnt(midnight + LOOKS[-1], at, lane, number, Sign.COMPLAINT, control=False))


def _spread(counts: Mapping[str, int], control: Mapping[str, Any]) -> list[tuple[Sign, bool]]:
    """The day's findings, each kind spread evenly over the day."""
    of_control = {name: int(control.get(name, 0)) for name in ("inbox", "spam")}
    kinds = [
        (Sign.INBOX, False, counts["inbox"] - of_control["inbox"]),
        (Sign.INBOX, True, of_control["inbox"]),
        (Sign.SPAM, False, counts["spam"] - of_control["spam"]),
        (Sign.SPAM, True, of_control["spam"]),
        (Sign.MISSING, False, counts["missing"]),
        (Sign.REBUFF, False, counts["deferred"] + counts["refused"]),
    ]
    placed = [
        ((number + 0.5) / count, rank, sign, is_control)
        for rank, (sign, is_control, count) in enumerate(kinds)
        for number in range(count)
    ]
    return [(sign, is_control) for _, _, sign, is_control in sorted(placed, key=lambda each: each[:2])]


def _look(house: _House, now: float) -> None:
    house.unseen.sort()
    known = [news for news in house.unseen if news.known_at <= now]
    house.unseen = [news for news in house.unseen if news.known_at > now]
    for news in known:
        house.controller.learn(news)
    house.controller.look(now)
