"""Best in hindsight: the ramp of the fixed family that would have been worth most in this world.

Every ramp of the family is tried on some of the domains, the better of them on more, and the best few on all. Where one
round holds all mailboxes, every ramp is tried on all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from warmup.cli.simulation.measures import Account
from warmup.cli.simulation.opponents import Named, family
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Hands, Trial

ROUNDS: Final = ((12, 24), (50, 6))
"""On how many mailboxes at least, and how many ramps are kept for the next round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best ramp's name, and what it came to over all mailboxes."""

    name: str
    account: Account


def best_in_hindsight(hands: Hands, setting: Setting, target: int) -> Best:
    """The best of the family for `target` in the setting's world."""
    left: Sequence[Named] = family(target, setting.days)
    for some, kept in ROUNDS:
        smaller = _smaller(setting, some)
        if smaller.mailboxes == setting.mailboxes:
            break
        accounts = hands.accounts(smaller, [_trial(named, target) for named in left])
        ranked = sorted(zip(left, accounts, strict=True), key=lambda pair: pair[1].value, reverse=True)
        left = [named for named, _ in ranked[:kept]]
    accounts = hands.accounts(setting, [_trial(named, target) for named in left])
    named, account = max(zip(left, accounts, strict=True), key=lambda pair: pair[1].value)
    return Best(name=named.name, account=account)


def work(setting: Setting, target: int) -> int:
    """How many mailbox-days that takes."""
    left, days = len(family(target, setting.days)), 0
    for some, kept in ROUNDS:
        smaller = _smaller(setting, some)
        if smaller.mailboxes == setting.mailboxes:
            break
        days += left * smaller.mailboxes * setting.days
        left = kept
    return days + left * setting.mailboxes * setting.days


def _smaller(setting: Setting, mailboxes: int) -> Setting:
    """The setting with about so many mailboxes, whole domains."""
    seats = setting.world.mailboxes_per_domain
    return replace(setting, mailboxes=min(setting.mailboxes, max(1, round(mailboxes / seats)) * seats))


def _trial(named: Named, target: int) -> Trial:
    return Trial(ramp=named.ramp, controller="blind", target=target)
