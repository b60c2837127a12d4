"""The control law: how receivers treat a lane, a mailbox or a domain, and how much of its volume it keeps.

In the manner of congestion control. Every lane has a *volume*, whole or not, that is carried from day to day:

    SOUND    grows by appetite · growth · volume (or a step of 2 · growth / 0.4), as far as the ramp lets it;
             below what the receiver is used to it returns there by a quarter a day
    WATCHED  thin (fewer than 8 sightings): volume + 1, or × 1.2 · doubtful: holds
    SLOWED   volume × 0.7 a day, down to three messages
    HALTED   nothing for a day, then probes of two messages: after one day more, two, three, and then every four

A lane braked in mid-day sends no more that day (policy/quota).

`growth` is learned lane by lane: 40 % a day at first, the less of it the greater the lane's caution (policy/evidence),
and no more than half of what the lane grew when it was braked growing, healing by 3 % of itself with every sound day
(policy/headroom). `appetite` is 1 while at most 6 % of what was seen lately went astray, and falls to 0 at 14 %; it is
read from the slow memory (policy/evidence), while the brake itself acts by the fast one and by the last few findings: a
fresh turn shows there before it shows in any average. So three loops: one that brakes by multiplication within the day,
one that holds within days, and one that learns over weeks at which growth spam stays near 3 %, since receivers judge
volume against what they are used to. At that share a message more still earns more than its spam costs, and trust grows
faster by what is read than it falls by what is not.

Guarantees. Idempotent: a verdict is a function of the evidence, the instant and the standing before it; judging ten
times a day says the same as once, and a volume falls once a day. Monotone: worse evidence never gives a better
standing, a greater growth or a greater volume tomorrow. No leap: never more than × 1.4, or two messages more, whatever
is learned. Never above the ramp (policy/allowance). No absorbing zero: evidence fades with days and with every message,
learned growth is never less than 2 %, and a hundred good messages in a row give back all of it, and whatever is braked
still asks, so content receivers are heard within a week and full level is reached again. The brake wins over every
floor and minimum but the probe.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, TypeVar, assert_never

from warmup.policy.evidence import NOTHING, Evidence, Finding, pooled
from warmup.policy.headroom import GROWTH, Headroom, cautious
from warmup.policy.reputation import Estimate, estimate, harm_share
from warmup.policy.standing import Standing

ENOUGH: Final = 8
"""Sightings below which nothing is SOUND (DESIGN, Promises 4)."""

STALE: Final = 3.0
"""Messages that faded evidence must be worth, or it is thin again."""

COOL_DOWN: Final = timedelta(days=1)
PROBE: Final = 2.0
RAREST: Final = 4
"""Days between probes at most: each one into spam costs trust, and a receiver's mood lasts days (RFC 6298 5.5 backs
off likewise)."""

ASK: Final = 3.0
"""Messages a day that a slowed or doubtful lane asks with: with fewer, doubt would outlast its cause by weeks."""

LATELY: Final = timedelta(hours=60)
"""How old the last findings may be to show a fresh turn."""

DOUBT_HARM: Final = 0.12
DOUBT_AGAIN: Final = 0.16
"""A sound lane is doubted at more harm than one that is yet to become sound: one stray message is not a change."""

SLOW_HARM: Final = 0.19
HALT_HARM: Final = 0.40
_FEWEST_HARM: Final = 3.0
_FRESH: Final = 4
"""A fresh turn: of the last four messages three went wrong, or of the last eight four; halted at four, or six."""

FULL_APPETITE: Final = 0.94
NO_APPETITE: Final = 0.86
STEP: Final = 2.0
"""What it may grow at least: the steepest of the mailbox-level ramps (FACTS.md)."""

DECREASE: Final = 0.7

RETURN: Final = 0.25
"""Growth a day on the way back to what the receiver is used to."""

QUIET: Final = 4.0
"""Messages a day to which a sound lane may come back whatever is remembered: nobody judges such a volume."""

NO_HEADROOM: Final = Headroom(0.0)

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was judged. `factor` is the share of the day's volume the subject keeps, 0–1; `thin` where little is known.

    `since` is when the standing began; the ratios are the estimated inbox share with its 95 % interval, None without
    any sighting. `n` counts sightings. `growth` is the most a lane may grow in a day, as a share.
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
    growth: float = GROWTH


def judge_lane(
    own: Evidence,
    now: datetime,
    *,
    mailbox: Iterable[Evidence] = (),
    domain: Iterable[Evidence] = (),
    operator: Iterable[Evidence] = (),
    previous: Verdict | None = None,
    interval: bool = True,
) -> Verdict:
    """The verdict on one lane.

    `operator` is the evidence of the mailbox's lanes to other services of the same operator, `mailbox` that of all its
    others, `domain` its domain's at the same receiver.

    `interval` False leaves out the 95 % interval, which is only reported and costs more than all the rest.
    """
    about = estimate(own, now, mailbox=mailbox, domain=domain, operator=operator)
    return _verdict(own, about, now, previous, interval=interval)


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


def is_probe_day(halted_since: date, probes: Sequence[date], today: date) -> bool:
    """True where a halted lane asks `today`; `probes` are the dates on which it asked since, oldest first."""
    if not probes:
        return today > halted_since + COOL_DOWN
    return (today - probes[-1]).days >= min(RAREST, len(probes) + 1)


def appetite(inbox_ratio: float | None) -> float:
    """How much of its growth a sound lane takes, 0–1, by the inbox share it was judged with."""
    if inbox_ratio is None:
        return 1.0
    return min(1.0, max(0.0, (inbox_ratio - NO_APPETITE) / (FULL_APPETITE - NO_APPETITE)))


def next_volume(
    before: float, standing: Standing, *, thin: bool, hunger: float, headroom: Headroom = NO_HEADROOM
) -> float:
    """The most a lane may carry after a day of `before` messages; `hunger` is its `appetite`."""
    match standing:
        case Standing.SOUND:
            return _grown(max(before, ASK), hunger, headroom)
        case Standing.WATCHED:
            return max(before + 1, before * 1.2) if thin else max(before, ASK)
        case Standing.SLOWED:
            return max(before * DECREASE, ASK)
        case Standing.HALTED:
            return PROBE
        case _:
            assert_never(standing)


def _grown(before: float, hunger: float, headroom: Headroom) -> float:
    """A sound lane's next volume: quickly back to what the receiver is used to, and by the learned growth past that."""
    step = max(STEP * headroom.growth / GROWTH, headroom.growth * before)
    back = min(before + max(1.0, RETURN * before), headroom.used_to)
    return max(before + hunger * step, back, min(before + 1, QUIET))


def _of_many(
    lanes: Mapping[Key, Evidence], now: datetime, previous: Verdict | None, *, what: str, interval: bool
) -> Verdict:
    # Of one lane alone nothing is its own affair.
    hurt = [key for key, lane in lanes.items() if _is_hurt(lane, now)] if len(lanes) > 1 else []
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
    standing, _ = _standing(faded, harm_share(faded, NOTHING, NOTHING), now, thin=False, doubt=DOUBT_HARM)
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
        growth=cautious(own.caution),
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
    if more < _FRESH - 1:
        return Standing.SOUND, ""
    shown = (few, len(last)) if few >= _FRESH - 1 else (more, len(lately))
    said = f"{shown[0]:g} of the last {shown[1]} went wrong"
    if few >= _FRESH or more >= _FRESH + 2:
        return Standing.HALTED, said
    if few >= _FRESH - 1 or more >= _FRESH:
        return Standing.SLOWED, said
    return Standing.SOUND, ""


def _wrong(findings: Iterable[Finding]) -> float:
    return sum([min(1.0, finding.sign.harm) for finding in findings])
