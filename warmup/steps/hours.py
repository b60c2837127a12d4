"""When a mailbox sends: its own hours or the configuration's, less the holidays it keeps, or what its habit shows."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from functools import lru_cache

from warmup.config import Settings
from warmup.config.holidays import holidays_of
from warmup.policy.habit import LOOKBACK, Habit, habit
from warmup.policy.mailbox import Hours, Mailbox, MailboxId, Profile
from warmup.steps.circle import Circle
from warmup.steps.view import midnight_of


async def habits_of(mailboxes: Collection[Mailbox], on: date, circle: Circle) -> dict[MailboxId, Habit]:
    """When each of the mailboxes sends on the date `on`; learned is only from what was sent before it."""
    learning = [one for one in mailboxes if profile_of(one, circle.settings) is Profile.LEARNED]
    instants = {}
    if learning:
        midnights = {one.id: midnight_of(on, one) for one in learning}
        since = min(midnights.values()) - LOOKBACK
        known = await circle.ledger.own.instants(midnights, since=since, until=max(midnights.values()))
        instants = {
            mailbox_id: [at for at in known.get(mailbox_id, ()) if midnight - LOOKBACK < at < midnight]
            for mailbox_id, midnight in midnights.items()
        }
    usual = {one.id: usual_hours(one, on, circle.settings) for one in mailboxes}
    return {
        one.id: habit(instants[one.id], one.zone, usual[one.id]) if one.id in instants else Habit(hours=usual[one.id])
        for one in mailboxes
    }


def usual_hours(mailbox: Mailbox, on: date, settings: Settings) -> Hours:
    """The window that was set for the mailbox, or for all, with the holidays of this year and the next."""
    calendar = settings.window.holidays if mailbox.holidays is None else mailbox.holidays
    return _closed(mailbox.hours or settings.window.hours, calendar, on.year)


def profile_of(mailbox: Mailbox, settings: Settings) -> Profile:
    """Where its hours come from."""
    return mailbox.profile or settings.window.profile


@lru_cache(maxsize=4096)
def _closed(hours: Hours, calendar: str, year: int) -> Hours:
    return replace(hours, closed=holidays_of(calendar, year, year + 1)) if calendar else hours
