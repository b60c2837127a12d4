"""What a person can do about it: one sentence each; never to try harder where waiting helps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, assert_never

from warmup.policy.attribution import Cause, Suspect
from warmup.policy.gap import Gap
from warmup.policy.standing import Standing

FLATTERY: Final = 0.05
"""A gap that is surely greater is worth a word."""

UNSEEN: Final = (
    "no Sent folder was found, so what you send yourself is not seen and not counted: make one and run "
    "`warmup mailbox check`, or lower --daily-limit by as much"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """What advice on a lane goes by; `seeds` and `controls` are those that may be written to now.

    `missing` is how many seeds more its full volume wants.
    """

    provider: str
    standing: Standing | None
    thin: bool
    seeds: int
    controls: int
    gap: Gap | None
    missing: int = 0


def on_cause(cause: Cause) -> str:
    """What to do about what is to blame."""
    name = cause.name[0]
    match cause.suspect:
        case Suspect.RECEIVER:
            return (
                f"wait: {name} treats all your mailboxes alike; its lanes ask with a few messages and grow again by "
                f"themselves. See what {name}'s postmaster pages say of your domains"
            )
        case Suspect.DOMAIN:
            return f"check SPF, DKIM, DMARC and blocklists of {name}: several receivers object to all its mailboxes"
        case Suspect.MAILBOX:
            return f"look at what else {name} sends and from where: several receivers object to this mailbox alone"
        case Suspect.LANE:
            return f"send less real mail from {name} to {cause.name[1]} until the lane is sound; nothing else is hurt"
        case Suspect.DOMAIN_LANE:
            return f"check what {cause.name[1]} says of {name} on its postmaster pages; other receivers are content"
        case Suspect.GRAMMAR:
            return f"rewrite the grammar {name}, or take it away: receivers dislike the text, whoever sends it"
        case Suspect.SEED:
            return f"look at the filters of {name}, or remove it: it puts everybody's mail away"
        case _:
            assert_never(cause.suspect)


def on_lane(lane: LaneState) -> Iterable[str]:
    """What to do about a lane by itself."""
    if lane.seeds == 0:
        yield f"enrol a seed at {lane.provider}: without one the lane cannot be used"
    elif lane.missing:
        more = "1 more seed" if lane.missing == 1 else f"{lane.missing} more seeds"
        yield f"enrol {more} at {lane.provider}: with {lane.seeds} its full volume would always go to the same few"
    match lane.standing:
        case Standing.HALTED | Standing.SLOWED:
            yield f"leave {lane.provider} to the brake, and send little real mail there until it is sound again"
        case Standing.WATCHED if lane.thin:
            yield f"wait for more sightings at {lane.provider}; more seeds there would bring them sooner"
        case Standing.WATCHED:
            yield f"wait: {lane.provider} holds its volume until it is clear what happens"
        case Standing.SOUND | None:
            pass
        case _:
            assert_never(lane.standing)
    if lane.gap is not None and lane.gap.lower > FLATTERY:
        yield f"believe the controls at {lane.provider}: seeds that answer read {lane.gap.ratio:.0%} too high"
    elif lane.seeds and not lane.controls:
        yield f"enrol a control at {lane.provider} (`--role control`): seeds that answer may read too high"
