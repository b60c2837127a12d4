"""The wall clock is set, slewed and slept through while the daemon runs, and mailboxes move to other zones.

Every account may send as much in 24 hours as it is planned to send on a date, so that each hour by which the daemon
ages its window too fast is a breach in the servers' books. There a day, an hour and a message are counted: no account
above its limit in any 24 hours, none above its normal hour in any hour, none twice; and none that was claimed later
than its grace. A normal hour is the most that any date's own plan had due within an hour, and never less than one.
"""

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.scenarios.house import Row, until, zone_where_it_is
from tests.torture.faketime import WallClock
from tests.torture.outcome import Form, Outcome
from tests.torture.stage import Stage, staged

SPEED = 2400.0
LIMIT = 5
"""The first level of the fastest ramp, so that a full date reaches it."""

_EASTERNMOST = 14
_HOUR, _DAY = timedelta(hours=1), timedelta(hours=24)
_GRACE = timedelta(hours=5)
_SLEW, _SLEWED_HOURS, _SLEW_STEPS = 0.1, 8.0, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """What is done to the daemon's time, and how many of the world's hours it is left alone after it."""

    name: str
    do: Callable[["_Scene"], None]
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """The stage, and the daemon's wall clock."""

    stage: Stage
    clock: WallClock
    zone: ZoneInfo

    def step(self, hours: float) -> None:
        """Set the wall clock by hours of the world."""
        self.clock.step(hours * 3600 / SPEED)

    def pass_by(self, hours: float) -> None:
        """Let hours of the world pass, looking on."""
        end = time.monotonic() + hours * 3600 / SPEED
        until(lambda: time.monotonic() >= end, seconds=hours * 3600 / SPEED + 60, what="time passes")

    def suspend(self, hours: float) -> None:
        """Stop the daemon while time goes on, its boot clock included, as a laptop's lid does."""
        daemon = self.stage.house.daemons[-1]
        daemon.send_signal(signal.SIGSTOP)
        self.pass_by(hours)
        daemon.send_signal(signal.SIGCONT)

    def slew(self, hours: float) -> None:
        """Let the wall clock run a tenth too fast for some hours, as NTP does to a clock that is late, only worse."""
        for _ in range(_SLEW_STEPS):
            self.pass_by(hours / _SLEW_STEPS)
            self.step(_SLEW * hours / _SLEW_STEPS)

    def step_while_down(self, hours: float) -> None:
        """Stop the daemon, set the clock, start it."""
        assert self.stage.house.stop() == 0
        self.step(hours)
        self.stage.house.start()

    def step_and_back(self, hours: float) -> None:
        """Set the clock forward, and an hour later back: NTP was wrong once."""
        self.step(hours)
        self.pass_by(1)
        self.step(-hours)

    def move_east(self, hours: int, mailboxes: int) -> None:
        """Move some mailboxes to where it is `hours` later, or as late as it ever is; a daemon that starts knows it."""
        house = self.stage.house
        assert house.stop() == 0
        offset = self.zone.utcoffset(datetime.now(UTC)) or timedelta()
        there = min(_EASTERNMOST, offset // _HOUR + hours)
        for address in sorted({row["mailbox"] for row in house.export("daily")})[:mailboxes]:
            # POSIX counts westwards.
            house("mailbox", "set", address, "--timezone", f"Etc/GMT{-there:+d}")
        house.start()


_FORWARD = _Act(name="+6 h", do=lambda scene: scene.step(6), hours=14)
_ACTS = {
    Form.SHORT: (_FORWARD,),
    Form.FULL: (
        _FORWARD,
        _Act(name="-6 h", do=lambda scene: scene.step(-6), hours=16),
        _Act(name="8 h suspended", do=lambda scene: scene.suspend(8), hours=12),
        _Act(name="slewed", do=lambda scene: scene.slew(_SLEWED_HOURS), hours=12),
        _Act(name="+6 h while down", do=lambda scene: scene.step_while_down(6), hours=16),
        _Act(name="moved east", do=lambda scene: scene.move_east(11, 6), hours=30),
        _Act(name="+6 h and back", do=lambda scene: scene.step_and_back(6), hours=14),
    ),
}
_BEFORE_HOURS = 13.0


def run(form: Form, folder: Path) -> Outcome:
    """Play the acts one after the other, and count in the servers' books at the end."""
    folder.mkdir(exist_ok=True)
    clock = WallClock(folder / "offset")
    grace = {"WARMUP__SEND__GRACE_SECONDS": str(int(_GRACE.total_seconds()))}
    environ = {"WARMUP__LIMITS__OWN_RESERVE_RATIO": "0", **grace, **clock.environ}
    zone = zone_where_it_is(0)
    with staged(folder, speed=SPEED, environ=environ, limit=LIMIT, zone=zone) as stage:
        scene = _Scene(stage=stage, clock=clock, zone=ZoneInfo(zone))
        stage.house.start()
        scene.pass_by(_BEFORE_HOURS)
        took = []
        for act in _ACTS[form]:
            before = len(stage.received())
            act.do(scene)
            scene.pass_by(act.hours)
            took.append(f"{act.name}: {len(stage.received()) - before}")
        stopped = stage.house.stop()
        received, messages = stage.received(), stage.house.export("messages")
    doubles = [key for key, times in Counter(row["message_id"] for row in received).items() if times > 1]
    known = {row["message_id"] for row in messages if row["attempts"]}
    unknown = [row["message_id"] for row in received if row["message_id"] not in known]
    breaches = [*_over_the_limit(received), *_bursts(received, messages), *_late(messages)]
    if stopped != 0:
        breaches.append(f"the daemon ended with {stopped}")
    if len(received) < LIMIT:
        breaches.append(f"nothing was tried: {len(received)} messages went out")
    return Outcome(
        scenario="clock",
        tries=len(_ACTS[form]),
        losses=len(unknown),
        doubles=len(doubles),
        breaches=len(breaches),
        figures=f"{len(received)} messages; after {', '.join(took)}",
        broken=(
            *(f"{key} is unknown to the ledger" for key in unknown[:10]),
            *(f"{key} was sent twice" for key in doubles[:10]),
            *breaches[:20],
        ),
    )


def _by_account(received: Iterable[Row]) -> dict[str, list[datetime]]:
    taken: dict[str, list[datetime]] = defaultdict(list)
    for row in received:
        taken[row["account"]].append(datetime.fromisoformat(row["at"]))
    return taken


def most_within(instants: Sequence[datetime], span: timedelta) -> int:
    """The most of the instants, in order, within any `span`."""
    most, first = 0, 0
    for last, at in enumerate(instants):
        while instants[first] <= at - span:
            first += 1
        most = max(most, last - first + 1)
    return most


def _over_the_limit(received: Iterable[Row]) -> list[str]:
    counts = {account: most_within(sorted(at), _DAY) for account, at in _by_account(received).items()}
    return [f"{account}: {n} messages in 24 hours" for account, n in sorted(counts.items()) if n > LIMIT]


def _late(messages: Iterable[Row]) -> list[str]:
    claimed = [row for row in messages if row["claimed_at"] is not None]
    late = {
        row["slot"]: datetime.fromisoformat(row["claimed_at"]) - datetime.fromisoformat(row["due_at"])
        for row in claimed
    }
    return [f"slot {slot} was claimed {by} after it was due" for slot, by in late.items() if by > _GRACE]


def _bursts(received: Iterable[Row], messages: Iterable[Row]) -> list[str]:
    planned: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for row in messages:
        planned[row["mailbox"], row["date"]].append(datetime.fromisoformat(row["due_at"]))
    normal: Counter[str] = Counter()
    for (mailbox, _), due in planned.items():
        normal[mailbox] = max(1, normal[mailbox], most_within(sorted(due), _HOUR))
    counts = {account: most_within(sorted(at), _HOUR) for account, at in _by_account(received).items()}
    return [
        f"{account}: {n} messages in an hour, where {normal[account]} are normal"
        for account, n in sorted(counts.items())
        if n > normal[account]
    ]
