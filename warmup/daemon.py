"""Start, tick, drain, stop.

The daemon decides nothing about mail. It takes the ledger's lock, brings the ledger to a known state (schema, recovery,
restored or not), opens the doors, and from then on asks the agenda what is due and hands it to the engine. APScheduler
is the clock's hand and nothing more: one interval job for the tick, one for the watchdog. Its jobs are due by the wall
clock, so a clock that was set back would keep the hand from moving until it had caught up: the loop's own clock, which
nobody sets, notices, and the hand begins anew. `stop` ends ticking first, then drains what runs, and only then shuts
the scheduler down, since `shutdown` would cancel running coroutines.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from warmup.clock import Leap, pause
from warmup.config import Settings, providers_of
from warmup.engine.local import LocalEngine
from warmup.engine.perform import perform
from warmup.engine.work import Engine, Work
from warmup.ledger.errors import LedgerBusy, LedgerError, LedgerFailed
from warmup.metrics import LAG_SECONDS
from warmup.policy.attention import deadline, first_look
from warmup.policy.rulebook import rules
from warmup.steps.agenda import Agenda
from warmup.steps.aside import aside
from warmup.steps.circle import Circle
from warmup.wire.systemd import Supervisor

log = structlog.get_logger("daemon")

_STANDS_STILL = timedelta(minutes=1)
"""Ledger time that waits longer than this for the wall clock is worth a line."""

_SET_SECONDS = 1.0
"""A wall clock that goes apart from the loop's by more than this between two looks was set, not slewed."""

_OVERDUE_SECONDS = 10.0
"""How often a node looks for what others left in flight; real time."""

# What is in use for as long as the process lives.
_FIXED = ("ledger", "vault", "http", "daemon", "engine", "network", "rehearsal", "content", "log")

CLOSING_SECONDS = 10.0
"""What farewells to servers, the doors and the ledger's last page may take, one after the other; real time."""


def time_to_end(drain_seconds: float) -> float:
    """How long work may go on after SIGTERM, in seconds, so that the process has ended within `drain_seconds`."""
    return max(drain_seconds - CLOSING_SECONDS, drain_seconds / 2)


class Daemon:
    """The circle, kept turning. `start` once, then `run` until `stop` is asked for."""

    def __init__(self, circle: Circle, *, supervisor: Supervisor) -> None:
        self.circle = circle
        self.agenda = Agenda(circle)
        self._supervisor = supervisor
        self._ready = False
        self._trouble: str | None = None
        self._lost: LedgerBusy | None = None
        self._leap: Leap | None = None
        self._stands_still = False
        self._asked_to_stop = asyncio.Event()
        self._engine: Engine | None = None
        self._looked_for_overdue: float | None = None
        self._came_back = False

    @property
    def engine(self) -> Engine:
        """Where work runs; made by `start`, since its workers belong to a running loop."""
        assert self._engine is not None, "start() comes first"
        return self._engine

    async def start(self) -> None:
        """Bring the ledger to a known state: nothing in flight, a restored ledger noticed. Then work may begin."""
        circle = self.circle
        circle.clock.resume(await circle.ledger.timekeeping.read())
        await self._keep_time()
        await self._look_for_a_restore()
        if circle.is_shared:
            await self._recover_overdue()
        else:
            await self._recover()
        # Five hundred patterns are made ready once: not while mail is on its way.
        await aside(rules)
        self._engine = await self._begun()
        self._ready = True
        log.info("ready", concurrency=circle.settings.daemon.concurrency, speed=circle.clock.speed, node=circle.node)

    async def _begun(self) -> Engine:
        circle, concurrency = self.circle, self.circle.settings.daemon.concurrency
        if not circle.is_shared:
            return LocalEngine(lambda work: perform(work, self.circle), concurrency=concurrency)
        # It takes a quarter of a second to import, which is no other verb's to pay.
        from warmup.engine.cluster import ClusterEngine

        engine = ClusterEngine(
            lambda work: perform(work, self.circle),
            circle.ledger.database,
            concurrency=concurrency,
            poll_seconds=circle.settings.daemon.tick_seconds,
        )
        await engine.start()
        return engine

    async def _look_for_a_restore(self) -> None:
        circle = self.circle
        restored = await circle.ledger.installation.check_restore(now=circle.clock.now())
        if restored:
            # Another incarnation draws other slots: those of the lost days are never made again.
            circle.clock.reseed((await circle.ledger.installation.get()).seed)
            log.warning("restored", lapsed=restored.lapsed, held_until=restored.held_until.isoformat())

    async def _recover(self, *, alive: str | None = None, claimed_by: datetime | None = None) -> None:
        circle, now, observe = self.circle, self.circle.clock.now(), self.circle.settings.observe
        recovered = await circle.ledger.attempts.recover(
            now=now,
            look_at=first_look(now, first=timedelta(seconds=observe.first_seconds)),
            deadline_at=deadline(now, missing_after=timedelta(hours=observe.missing_after_hours)),
            alive=alive,
            claimed_by=claimed_by,
        )
        if recovered:
            log.warning("recovered", uncertain=len(recovered))

    async def _recover_overdue(self) -> None:
        """Close what other nodes have had in flight for longer than a lease.

        That a node's connection is gone proves nothing: cut off from the ledger, it may be talking to a server still.
        """
        circle, now = self.circle, self.circle.clock.now()
        lease = timedelta(seconds=circle.settings.send.lease_seconds) * circle.clock.speed
        claimed_by = circle.clock.leaps.ago(now, lease)
        if await circle.ledger.attempts.overdue(alive=circle.node, claimed_by=claimed_by):
            await self._recover(alive=circle.node, claimed_by=claimed_by)

    async def _keep_company(self) -> None:
        """What a node does besides: it looks after what others left, and follows them into a new incarnation."""
        circle, elapsed = self.circle, self.circle.clock.elapsed()
        self._came_back |= circle.ledger.was_lost
        if self._came_back:
            # Every node has a mark of its own: the one who sent last knows best that the server went back.
            await self._look_for_a_restore()
            self._came_back = False
        circle.clock.reseed((await circle.ledger.installation.get()).seed)
        if self._looked_for_overdue is None or elapsed - self._looked_for_overdue >= _OVERDUE_SECONDS:
            self._looked_for_overdue = elapsed
            await self._recover_overdue()

    async def tick(self) -> int:
        """Submit what is due now; gives how many units were taken. None while the disk takes nothing."""
        installation = self.circle.ledger.installation
        if installation.trouble is not None:
            self._tells_of(installation.trouble)
        trouble = await installation.still_in_trouble()
        if trouble is None and self._trouble is not None:
            # A server that is away may have been noticed by nobody who writes.
            await installation.get()
        if self._tells_of(trouble):
            return 0
        if self.circle.is_shared:
            await self._keep_company()
        elif self.circle.ledger.was_lost:
            # Another daemon may have held it meanwhile, and ended with mail in flight.
            await self._recover(alive=self.circle.node)
        await self._keep_time()
        due = await self.agenda.due()
        submitted = await self.engine.submit_all([Work(step, mailbox) for step, mailbox in due])
        self.agenda.put_off((work.step, work.mailbox) for work in submitted.put_off)
        self.circle.process.ticked("due", self.circle.clock.wall())
        return submitted.taken

    async def run(self) -> None:
        """Tick every `daemon.tick_seconds` until `ask_to_stop`, then drain within `daemon.drain_seconds`.

        Raises LedgerBusy, then, where another daemon took the ledger over.
        """
        settings = self.circle.settings
        scheduler = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": AsyncIOExecutor()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        scheduler.add_job(self._guarded_tick, "interval", seconds=settings.daemon.tick_seconds, id="tick")
        if self._supervisor.watchdog_seconds:
            scheduler.add_job(self._pat, "interval", seconds=self._supervisor.watchdog_seconds / 3, id="watchdog")
        scheduler.start()
        watch = asyncio.create_task(self._watch_the_loop(scheduler), name="loop-lag")
        self._supervisor.say("READY=1")
        await self._guarded_tick()
        await self._asked_to_stop.wait()

        self._supervisor.say("STOPPING=1")
        scheduler.pause()
        clean = await self.engine.drain(time_to_end(settings.daemon.drain_seconds))
        scheduler.shutdown(wait=False)
        watch.cancel()
        self._ready = False
        log.info("stopped", clean=clean)
        if self._lost is not None:
            raise self._lost

    def ask_to_stop(self) -> None:
        """Make `run` drain and return; a second call changes nothing."""
        self._asked_to_stop.set()

    def adopt(self, settings: Settings) -> str | None:
        """Go on under other settings, all of them or, where one needs a restart, none; then the answer names those."""
        before = self.circle.settings
        fixed = [name for name in _FIXED if getattr(settings, name) != getattr(before, name)]
        if fixed:
            return f"{', '.join(fixed)}: a change here needs a restart"
        self.circle = replace(self.circle, settings=settings, providers=providers_of(settings))
        self.agenda = Agenda(self.circle)
        return None

    async def unready(self) -> str | None:
        """Why `/readyz` must say 503, or None: lock, migration and recovery are done and the ledger answers."""
        if not self._ready:
            return "starting or stopping"
        try:
            await self.circle.ledger.installation.get()
            return await self.circle.ledger.installation.still_in_trouble() or self.engine.trouble
        except LedgerError as trouble:
            return str(trouble)

    async def _keep_time(self) -> None:
        """Look at the clock, keep how it ran, and say once that it was set."""
        clock = self.circle.clock
        clock.now()
        told = clock.leaps.known
        if await self.circle.ledger.timekeeping.keep(clock.course) and told and told[-1] != self._leap:
            self._leap = told[-1]
            log.warning(
                "clock went ahead", seconds=round(self._leap.by.total_seconds(), 3), at=self._leap.at.isoformat()
            )
        stands_still = clock.behind > _STANDS_STILL
        if stands_still and not self._stands_still:
            log.warning("clock was set back, time stands still until then", until=clock.now().isoformat())
        self._stands_still = stands_still

    async def _guarded_tick(self) -> None:
        try:
            await self.tick()
        except LedgerFailed as failure:
            self._tells_of(str(failure))
        except LedgerBusy as busy:
            log.error("ledger lost", error=str(busy))
            self._lost = busy
            self.ask_to_stop()
        except asyncio.CancelledError:
            # The clock's hand is shut down: what it asked of the ledger ends by itself, and nobody waits for it.
            if not self._asked_to_stop.is_set():
                raise
        except Exception:  # the edge of a tick: logged, and the next tick asks again
            log.exception("tick failed")

    def _tells_of(self, trouble: str | None) -> bool:
        """Say once that the disk fails, and once that it does not any more; True while it does."""
        if trouble is not None and self._trouble is None:
            log.error("ledger failed, nothing is sent until it can be written", error=trouble)
        if trouble is None and self._trouble is not None:
            log.warning("ledger can be written again")
            # It holds for done what was submitted meanwhile.
            self.agenda.forget()
        self._trouble = trouble
        return trouble is not None

    async def _watch_the_loop(self, scheduler: AsyncIOScheduler) -> None:
        """Measure how late the loop is, and let the clock's hand begin anew where the wall clock was set.

        The loop's own clock stands still while the machine sleeps, which is no fault of the loop.
        """
        loop, wall = asyncio.get_running_loop(), self.circle.clock.wall
        apart = wall().timestamp() - loop.time()
        while True:
            expected = loop.time() + LAG_SECONDS
            await pause(LAG_SECONDS)
            self.circle.process.lagged(loop.time() - expected)
            before, apart = apart, wall().timestamp() - loop.time()
            if abs(apart - before) > _SET_SECONDS:
                for job in scheduler.get_jobs():
                    job.modify(next_run_time=wall())

    def _pat(self) -> None:
        self._supervisor.say("WATCHDOG=1")
