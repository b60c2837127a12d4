"""Many mailboxes over this machine's cores: domain by domain, and the same figures whatever the number of processes.

A domain's course depends on the setting, its own mailboxes and the seed alone (the world's dice are hashes), so the
work may be cut anywhere between domains. Results are added up in the domains' order.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.pool import Pool
from typing import Final

from warmup.cli.simulation.course import course_of
from warmup.cli.simulation.measures import Account, account_of
from warmup.cli.simulation.setting import Setting
from warmup.cli.simulation.trial import Trial, controller_of

_WORTH_A_PROCESS: Final = 3000
"""Mailbox-days below which starting processes takes longer than the work."""

_PIECE: Final = 1000
"""Mailbox-days of one piece of work: a few seconds at most, so that progress is seen."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some domains of one trial."""

    setting: Setting
    trial: Trial
    number: int
    domains: tuple[range, ...]


class Crew:
    """Does trials, in this process or in several; `told` is called with mailbox-days that were done."""

    def __init__(self, pool: Pool | None, told: Callable[[int], None]) -> None:
        self._pool, self._told = pool, told

    def accounts(self, setting: Setting, trials: Sequence[Trial]) -> list[Account]:
        """What each trial adds up to over all mailboxes."""
        domains = setting.domains()
        seats = max(1, setting.world.mailboxes_per_domain)
        each = max(1, _PIECE // (seats * setting.days))
        pieces = [
            _Piece(setting, trial, number, domains[first : first + each])
            for number, trial in enumerate(trials)
            for first in range(0, len(domains), each)
        ]
        accounts = [Account() for _ in trials]
        done = map(_do, pieces) if self._pool is None else self._pool.imap(_do, pieces)
        for piece, account in zip(pieces, done, strict=True):
            accounts[piece.number].add(account)
            self._told(account.mailboxes * setting.days)
        return accounts


@contextmanager
def crew(mailbox_days: int, *, processes: int | None = None, told: Callable[[int], None]) -> Iterator[Crew]:
    """A crew for about so much work; `processes` None: as many as there are cores to use."""
    wanted = processes or len(os.sched_getaffinity(0))
    if wanted == 1 or mailbox_days < _WORTH_A_PROCESS:
        yield Crew(None, told)
        return
    # Spawned, not forked: the same everywhere, and nothing of this process's threads is inherited.
    with multiprocessing.get_context("spawn").Pool(wanted, initializer=_leave_interrupts) as pool:
        yield Crew(pool, told)


def _leave_interrupts() -> None:
    """Ctrl-C is the parent's to answer; it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _do(piece: _Piece) -> Account:
    whole = Account()
    for boxes in piece.domains:
        course = course_of(piece.setting, boxes, controller_of(piece.trial, piece.setting, boxes))
        whole.add(account_of(piece.setting, course, target=piece.trial.target))
    return whole
