"""Which seeds are missing: where a lane's full volume is more than its seeds may be given (policy/pairing)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from warmup.policy.mailbox import Mailbox, State
from warmup.policy.mix import seeds_missing, weights
from warmup.policy.pairing import SEED_DAILY
from warmup.policy.ramp import ramp_named
from warmup.steps.roster import Resting, Roster


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsWanted:
    """A receiver with too few seeds: how many there are for the sender that has fewest, and how many it wants."""

    provider: str
    seeds: int
    wanted: int

    @property
    def said(self) -> str:
        """In words."""
        return f"{self.wanted - self.seeds} more at {self.provider}"


def seeds_wanted(
    senders: Iterable[Mailbox], roster: Roster, mix: Mapping[str, float], resting: frozenset[str]
) -> tuple[SeedsWanted, ...]:
    """What the senders want at the end of their ramps, by receiver; the sender that lacks most speaks for all.

    `resting` are the addresses of retired seeds.
    """
    seeds = roster.seeds(Resting(seeds=resting, grammars=frozenset()))
    found: dict[str, SeedsWanted] = {}
    for sender in senders:
        if not sender.role.sends or sender.state is State.PAUSED:
            continue
        have = roster.open_for(sender, seeds)
        shares = weights(roster.seeds_for(sender), mix)
        full = min(ramp_named(sender.ramp).towards(sender.target).limit, sender.daily_limit)
        volumes = {receiver: full * weight / math.fsum(shares.values()) for receiver, weight in shares.items()}
        for receiver, n in seeds_missing(volumes, have, seed_daily=SEED_DAILY).items():
            seeds_there = have.get(receiver, 0)
            known = found.get(receiver)
            if known is None or n > known.wanted - known.seeds:
                found[receiver] = SeedsWanted(provider=receiver, seeds=seeds_there, wanted=seeds_there + n)
    return tuple(found[receiver] for receiver in sorted(found))
