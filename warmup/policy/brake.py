"""The control law: how receivers treat a lane, a mailbox or a domain, and how much of its volume it keeps.

In the manner of congestion control. Every lane has a *volume*, whole or not, that is carried from day to day:

    SOUND    grows: volume + appetite · max(2, 0.4 · volume), as far as the ramp lets it
    WATCHED  thin (fewer than 8 sightings): volume + 1, or × 1.2 · doubtful: holds
    SLOWED   volume × 0.7 a day, down to three messages
    HALTED   nothing for a day, then a probe of two messages a day

`appetite` is 1 while at most 5 % of what was seen lately went astray, and falls to 0 at 12 %. It is read from the slow
memory (policy/evidence), so growth heals slowly after a brake, while the brake itself acts by the fast memory and by
the last few findings: a fresh turn shows there before it shows in any average.

Guarantees. Idempotent: a verdict is a function of the evidence, the instant and the standing before it; judging ten
times a day says the same as once, and a volume falls once a day. Monotone: worse evidence never gives a better standing
or a greater volume. No absorbing zero: evidence fades with days and with every message, and whatever is braked still
asks, so content receivers are heard within a week. The brake wins over every floor and minimum but the probe.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar, assert_never

from warmup.policy.evidence import Evidence, Finding, pooled
from warmup.policy.level import Peak
from warmup.policy.reputation import Estimate, estimate, harm_share
from warmup.policy.standing import Standing

ENOUGH: Final = 8
"""Sightings below which nothing is SOUND (DESIGN, Promises 4)."""

STALE: Final = 3.0
"""Messages that faded evidence must be worth, or it is thin again."""

COOL_DOWN: Final = timedelta(days=1)
PROBE: Final = 2.0
ASK: Final = 3.0
"""Messages a day that a slowed or doubtful lane asks with: with fewer, doubt would outlast its cause by weeks."""

LATELY: Final = timedelta(hours=60)
"""How old the last findings may be to show a fresh turn."""

DOUBT_HARM: Final = 0.12
DOUBT_AGAIN: Final = 0.16
"""A sound lane is doubted at more harm than one that is yet to become sound: one stray message is not a change."""

SLOW_HARM: Final = 0.20
HALT_HARM: Final = 0.50
_FEWEST_HARM: Final = 3.0
_FRESH: Final = 4
"""A fresh turn: of the last four messages three went wrong, or of the last eight four; halted at four, or six."""

FULL_APPETITE: Final = 0.95
NO_APPETITE: Final = 0.88
GROWTH: Final = 0.4
"""The most a sound lane grows in a day, of what it carried the day before (FACTS.md, SendGrid's automatic ramp)."""

STEP: Final = 2.0
"""What it may grow at least: the steepest of the mailbox-level ramps (FACTS.md)."""

DECREASE: Final = 0.7

BACK: Final = 0.8
"""How much of the volume at which it was braked a lane may go back to quickly (RFC 9438: CUBIC plateaus there)."""

RETURN: Final = 0.2
"""Growth a day on the way back there."""

HEALING: Final = 0.005
"""Growth a day beyond that, for each day since the brake let go."""

QUIET: Final = 5.0
"""Messages a day to which a sound lane may come back whatever is remembered: nobody judges such a volume."""

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was judged. `factor` is the share of the day's volume the subject keeps, 0–1; `thin` where little is known.

    `since` is when the standing began; the ratios are the estimated inbox share with its 95 % interval, None without
    any sighting. `n` counts sightings.
    """

    standing: Standing
    factor: float
    thin: bool
    since: datetime
    reason: str
    n: float
    inbox_ratio: float | None
    lower_ratio: float | None
    upper_ratio: float | None


def judge_lane(
    own: Evidence,
    now: datetime,
    *,
    mailbox: Iterable[Evidence] = (),
    domain: Iterable[Evidence] = (),
    previous: Verdict | None = None,
    interval: bool = True,
) -> Verdict:
    """The verdict on one lane; `mailbox` is its other lanes' evidence, `domain` its domain's at the same receiver.

    `interval` False leaves out the 95 % interval, which is only reported and costs more than all the rest.
    """
    return _verdict(own, estimate(own, now, mailbox=mailbox, domain=domain), now, previous, interval=interval)


def judge_mailbox(
    lanes: Mapping[Key, Evidence], now: datetime, *, previous: Verdict | None = None, interval: bool = True
) -> Verdict:
    """The verdict on a mailbox: only what most of its lanes share is the mailbox's own."""
    return _of_many(lanes, now, previous, what="lanes", interval=interval)


def judge_domain(
    lanes: Mapping[Key, Evidence], now: datetime, *, previous: Verdict | None = None, interval: bool = True
) -> Verdict:
    """The verdict on a domain over all lanes of all its mailboxes: only what most of them share is the domain's own."""
    return _of_many(lanes, now, previous, what="lanes of the domain", interval=interval)


def kept(standing: Standing) -> float:
    """The share of a day's volume that a subject of that standing keeps, 0–1."""
    match standing:
        case Standing.SOUND | Standing.WATCHED:
            return 1.0
        case Standing.SLOWED:
            return DECREASE
        case Standing.HALTED:
            return 0.0
        case _:
            assert_never(standing)


def appetite(inbox_ratio: float | None) -> float:
    """How much of its growth a sound lane takes, 0–1, by the inbox share it was judged with."""
    if inbox_ratio is None:
        return 1.0
    return min(1.0, max(0.0, (inbox_ratio - NO_APPETITE) / (FULL_APPETITE - NO_APPETITE)))


def next_volume(before: float, standing: Standing, *, thin: bool, hunger: float, peak: Peak | None = None) -> float:
    """The most a lane may carry after a day of `before` messages; `hunger` is its `appetite`."""
    match standing:
        case Standing.SOUND:
            return _grown(max(before, ASK), hunger, peak)
        case Standing.WATCHED:
            return max(before + 1, before * 1.2) if thin else max(before, ASK)
        case Standing.SLOWED:
            return max(before * DECREASE, ASK)
        case Standing.HALTED:
            return PROBE
        case _:
            assert_never(standing)


def _grown(before: float, hunger: float, peak: Peak | None) -> float:
    """A sound lane's next volume: quickly back to near where it was braked, and slowly past that (CUBIC's manner)."""
    quick = max(before + hunger * max(STEP, GROWTH * before), min(before + 1, QUIET))
    if peak is None:
        return quick
    back = min(before + max(1.0, RETURN * before), BACK * peak.volume)
    healed = min(quick, before * (1 + hunger * min(GROWTH, HEALING * peak.days)))
    return max(back, healed, min(before + 1, QUIET / 2))


def _of_many(
    lanes: Mapping[Key, Evidence], now: datetime, previous: Verdict | None, *, what: str, interval: bool
) -> Verdict:
    hurt = [key for key, lane in lanes.items() if _is_hurt(lane, now)]
    if not hurt or len(hurt) * 2 > len(lanes):
        return _of_whole(lanes.values(), now, previous, interval=interval)
    # One receiver's mood is that lane's affair: it is braked by itself and must not hold the others back.
    verdict = _of_whole((lane for key, lane in lanes.items() if key not in hurt), now, previous, interval=interval)
    return replace(verdict, reason=f"{verdict.reason}; {len(hurt)} of {len(lanes)} {what} braked by themselves")


def _of_whole(lanes: Iterable[Evidence], now: datetime, previous: Verdict | None, *, interval: bool) -> Verdict:
    whole = pooled(lanes, now)
    return _verdict(whole, estimate(whole, now), now, previous, interval=interval)


def _is_hurt(lane: Evidence, now: datetime) -> bool:
    faded = lane.by(now)
    standing, _ = _standing(faded, harm_share(faded, Evidence(), Evidence()), now, thin=False, doubt=DOUBT_HARM)
    return standing in (Standing.SLOWED, Standing.HALTED)


def _verdict(own: Evidence, about: Estimate, now: datetime, previous: Verdict | None, *, interval: bool) -> Verdict:
    faded = own.by(now)
    thin = about.n < ENOUGH or about.weight < STALE
    was_sound = previous is not None and previous.standing is Standing.SOUND
    standing, reason = _standing(faded, about.harm, now, thin=thin, doubt=DOUBT_AGAIN if was_sound else DOUBT_HARM)
    known = about.n > 0
    return Verdict(
        standing=standing,
        factor=kept(standing),
        thin=thin,
        since=previous.since if previous is not None and previous.standing is standing else now,
        reason=reason,
        n=float(about.n),
        inbox_ratio=about.inbox_ratio if known else None,
        lower_ratio=about.lower_ratio if known and interval else None,
        upper_ratio=about.upper_ratio if known and interval else None,
    )


def _standing(own: Evidence, harm: float, now: datetime, *, thin: bool, doubt: float) -> tuple[Standing, str]:
    """The standing, with its reason in words. `own` is faded, `harm` its share of harm, `doubt` what is too much."""
    wrong = own.fast.harm
    fresh, reason = _fresh_turn(own.lately(now, LATELY))
    if fresh is Standing.HALTED or (harm > HALT_HARM and wrong >= _FEWEST_HARM):
        return Standing.HALTED, reason or f"about {harm:.0%} go wrong"
    if fresh is Standing.SLOWED or (harm > SLOW_HARM and wrong >= _FEWEST_HARM):
        return Standing.SLOWED, reason or f"about {harm:.0%} go wrong"
    if thin:
        seen = f"only {own.sightings} messages seen" if own.sightings < ENOUGH else "nothing seen lately"
        return Standing.WATCHED, seen
    if harm > doubt:
        return Standing.WATCHED, f"about {harm:.0%} go wrong, too few to be sure"
    return Standing.SOUND, f"about {harm:.0%} go wrong"


def _fresh_turn(lately: tuple[Finding, ...]) -> tuple[Standing, str]:
    """What the last few findings say by themselves, whatever is remembered; SOUND where they show no turn."""
    last = lately[-_FRESH:]
    few, more = _wrong(last), _wrong(lately)
    shown = (few, len(last)) if few >= _FRESH - 1 else (more, len(lately))
    said = f"{shown[0]:g} of the last {shown[1]} went wrong"
    if few >= _FRESH or more >= _FRESH + 2:
        return Standing.HALTED, said
    if few >= _FRESH - 1 or more >= _FRESH:
        return Standing.SLOWED, said
    return Standing.SOUND, ""


def _wrong(findings: Iterable[Finding]) -> float:
    return sum(min(1.0, finding.sign.harm) for finding in findings)
