"""Which seeds and grammars are left out from the next planned date on? Asked of the whole fleet at once.

Whose name the work goes under does not matter: the same evidence gives the same decisions, and one that changes nothing
adds no row.
"""

import structlog

from warmup.ledger.trials import Tried
from warmup.policy.attribution import WINDOW, Suspect, Trial
from warmup.policy.blame import is_objection
from warmup.policy.evidence import Sign, sign_of
from warmup.policy.retirement import Candidate, Decision, Pools, decisions
from warmup.steps.aside import aside
from warmup.steps.circle import Circle

log = structlog.get_logger("retire")


async def retire(circle: Circle) -> None:
    """Retire what the evidence names, and take back what it names no more."""
    now = circle.clock.now()
    tried = await circle.ledger.trials.recent(since=now - WINDOW)
    pools = await _pools(circle)
    retired = await circle.ledger.retirements.in_force()

    # Twenty thousand messages take most of a second.
    changes = await aside(_changes, tried, pools, frozenset(retirement.candidate for retirement in retired))

    await circle.ledger.retirements.append(changes, now=now)
    for change in changes:
        log.info(
            "retired" if change.retired else "back",
            kind=change.candidate.suspect.value,
            name=change.candidate.name,
            reason=change.reason,
        )


def _changes(tried: tuple[Tried, ...], pools: Pools, retired: frozenset[Candidate]) -> tuple[Decision, ...]:
    return tuple(decisions(trials_of(tried), pools, retired=retired))


def trials_of(tried: tuple[Tried, ...]) -> list[Trial]:
    """What was tried, as attribution wants it: placements, and the refusals that are objections."""
    return [trial for each in tried if (trial := _trial(each)) is not None]


def _trial(each: Tried) -> Trial | None:
    sign = _sign(each)
    if sign is None:
        return None
    return Trial(
        day=each.date,
        mailbox=each.mailbox,
        domain=each.domain,
        receiver=each.provider,
        seed=each.seed,
        grammar=each.grammar,
        harm=min(1.0, sign.harm),
        control=each.control,
    )


def _sign(each: Tried) -> Sign | None:
    if each.placement is not None:
        return sign_of(each.placement)
    return Sign.REBUFF if is_objection(each.reply) else None


async def _pools(circle: Circle) -> Pools:
    """Every seed that may be written to with its receiver, and every grammar with its language."""
    fleet = await circle.ledger.mailboxes.list()
    seeds = {Candidate(Suspect.SEED, one.address): one.receiver for one in fleet if one.may_receive}
    grammars = {Candidate(Suspect.GRAMMAR, one.name): one.language for one in circle.grammars.grammars}
    return {**seeds, **grammars}
