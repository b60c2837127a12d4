"""Every counter, gauge and histogram, with its help text.

Two kinds. What the ledger knows is *derived* at scrape time from `Figures`, so that `warmup metrics` says the same with
and without a daemon and a restart resets nothing. What only a process knows (durations, ticks, failed logins) is
counted here as it happens, in `Process`. Labels are `mailbox` (an enrolled address) and `provider` (receiving), never a
subject, a message id or a peer's address.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from warmup import __version__
from warmup.policy.standing import Standing

# The time at which a counter began is of no use to anybody and doubles what is scraped.
disable_created_metrics()

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_MESSAGES = ("mailbox", "provider", "outcome")
_PLACEMENTS = ("mailbox", "provider", "placement")
_HANDOVER_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LAG_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 1800)
_LOOP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_DELAY_BUCKETS = (10, 60, 300, 900, 1800, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 48 * 3600)


LAG_SECONDS = 0.1
"""How often the event loop is asked to be on time, in real seconds."""

_MOST_LAGS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFigures:
    """What is believed of one lane: standing, inbox ratio (0–1) and its 95 % interval; None where nothing is known."""

    mailbox: str
    provider: str
    standing: Standing
    inbox_ratio: float | None
    lower_ratio: float | None
    upper_ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxFigures:
    """A mailbox's day: messages as counts, `limit_used` as messages in the rolling 24 hours, own traffic in."""

    mailbox: str
    day: int
    day_target: int
    day_sent: int
    limit: int
    limit_used: int
    replies: int = 0
    rescues: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that the ledger knows and a scrape shows. Counts, and shares (0–1), are keyed by their label values."""

    messages: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    placements: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    bounces: Mapping[tuple[str, str], int] = field(default_factory=dict)
    complaints: Mapping[tuple[str, str], int] = field(default_factory=dict)
    authentication: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    mailboxes: tuple[MailboxFigures, ...] = ()
    lanes: tuple[LaneFigures, ...] = ()


class Process:
    """What this process saw happen. One for each running program."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.placement_delay = Histogram(
            "warmup_placement_delay_seconds",
            "From handing a message over to seeing where it landed",
            registry=self.registry,
            buckets=_DELAY_BUCKETS,
        )
        self.smtp_session = Histogram(
            "warmup_smtp_session_seconds",
            "Length of one use of an SMTP connection, in real time",
            registry=self.registry,
            buckets=_HANDOVER_BUCKETS,
        )
        self.imap_check = Histogram(
            "warmup_imap_check_seconds",
            "Length of one look at a mailbox's folders, in real time",
            registry=self.registry,
            buckets=_HANDOVER_BUCKETS,
        )
        self.slot_lag = Histogram(
            "warmup_slot_lag_seconds",
            "From a slot's due instant to handing its message over",
            registry=self.registry,
            buckets=_LAG_BUCKETS,
        )
        self.loop_lag = Histogram(
            "warmup_loop_lag_seconds",
            "How late the event loop was, asked ten times a second, in real time",
            registry=self.registry,
            buckets=_LOOP_BUCKETS,
        )
        self.login_failures = Counter(
            "warmup_login_failures_total",
            "Logins that a server refused",
            ("mailbox", "protocol"),
            registry=self.registry,
        )
        self.last_tick = Gauge(
            "warmup_tick_last_success_timestamp_seconds",
            "When a tick last went through, as Unix time",
            ("tick",),
            registry=self.registry,
        )

    def ticked(self, tick: str, at: datetime) -> None:
        """Note that `tick` went through at `at` (wall time)."""
        self.last_tick.labels(tick).set(at.timestamp())

    def lagged(self, seconds: float) -> None:
        """Note that the loop was `seconds` late, and how late it was whenever it could not be asked meanwhile."""
        for missed in range(min(int(seconds / LAG_SECONDS) + 1, _MOST_LAGS)):
            self.loop_lag.observe(max(0.0, seconds - missed * LAG_SECONDS))


def _counted(name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sorted(counts):
        family.add_metric(values, count)
    return family


def _gauged(name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


class _Derived(Collector):
    """The figures of one scrape as metric families."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield _gauged("warmup_build_info", "The running version, always 1", ("version",), [((__version__,), 1)])
        yield from self._totals()
        yield from self._mailboxes()
        yield from self._lanes()

    def _totals(self) -> Iterator[Metric]:
        figures = self._figures
        yield _counted("warmup_messages", "Slots by how they ended", _MESSAGES, figures.messages.items())
        yield _counted("warmup_placements", "Messages by where they landed", _PLACEMENTS, figures.placements.items())
        yield _counted(
            "warmup_bounces", "Delivery reports and refusals by cause", ("provider", "cause"), figures.bounces.items()
        )
        yield _counted("warmup_complaints", "Complaints received", ("mailbox", "provider"), figures.complaints.items())
        mailboxes = figures.mailboxes
        replies = [((row.mailbox,), row.replies) for row in mailboxes]
        rescues = [((row.mailbox,), row.rescues) for row in mailboxes]
        yield _counted("warmup_replies", "Replies that a mailbox received to its messages", ("mailbox",), replies)
        yield _counted("warmup_rescues", "Own messages moved out of a junk folder", ("mailbox",), rescues)

    def _mailboxes(self) -> Iterator[Metric]:
        rows = self._figures.mailboxes
        label = ("mailbox",)

        def gauge(name: str, text: str, values: Iterable[float]) -> Metric:
            return _gauged(
                name, text, label, [((row.mailbox,), value) for row, value in zip(rows, values, strict=True)]
            )

        yield gauge("warmup_day_target_messages", "Messages planned for today", (row.day_target for row in rows))
        yield gauge("warmup_day_sent_messages", "Messages sent today", (row.day_sent for row in rows))
        yield gauge("warmup_daily_limit_messages", "Limit in any rolling 24 hours", (row.limit for row in rows))
        yield gauge(
            "warmup_limit_used_ratio",
            "Share of the limit used in the rolling 24 hours, own traffic in",
            (row.limit_used / row.limit for row in rows),
        )
        yield gauge("warmup_ramp_day", "Sending days behind this mailbox", (row.day for row in rows))

    def _lanes(self) -> Iterator[Metric]:
        lanes = self._figures.lanes
        standing = GaugeMetricFamily(
            "warmup_standing",
            "1 for the standing a lane has, 0 for the others",
            labels=("mailbox", "provider", "standing"),
        )
        for lane in lanes:
            for word in Standing:
                standing.add_metric((lane.mailbox, lane.provider, word), float(lane.standing is word))
        yield standing
        ratios = (
            ("inbox", "Estimated share of messages that land in the inbox", [lane.inbox_ratio for lane in lanes]),
            ("inbox_lower", "Lower end of the 95 % interval of the inbox ratio", [lane.lower_ratio for lane in lanes]),
            ("inbox_upper", "Upper end of the 95 % interval of the inbox ratio", [lane.upper_ratio for lane in lanes]),
        )
        for name, text, values in ratios:
            known = [
                ((lane.mailbox, lane.provider), value)
                for lane, value in zip(lanes, values, strict=True)
                if value is not None
            ]
            yield _gauged(f"warmup_{name}_ratio", text, ("mailbox", "provider"), known)
        yield _gauged(
            "warmup_authentication_ratio",
            "Share of the last 14 days' messages that passed, by the receiver's own word",
            ("mailbox", "provider", "method"),
            sorted(self._figures.authentication.items()),
        )


def exposition(figures: Figures, process: Process | None = None) -> bytes:
    """One Prometheus exposition (text format 0.0.4): the ledger's figures, and the process's where there is one."""
    registry = CollectorRegistry()
    registry.register(_Derived(figures))
    return generate_latest(registry) + (generate_latest(process.registry) if process else b"")
