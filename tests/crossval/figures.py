"""The figures: how often kind, cause and hardness are right, by which rules."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from tests.crossval.samples import Sample
from warmup.mail.folding import folded
from warmup.policy.blame import blame_reported
from warmup.policy.rulebook import Rule, entries, rule_of

Asked = Callable[[Sample], tuple[frozenset[str], Sequence[Rule]]]
"""The dialects left out and the rules asked for a sample."""


@dataclass(kw_only=True)
class Figures:
    """Counts of one run."""

    reports: int = 0
    detected: int = 0  # bounces called bounces
    mistaken: list[str] = field(default_factory=list)  # others called bounces
    recipients: int = 0
    right: int = 0
    hard: int = 0
    hard_found: int = 0
    hard_said: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def detection(self) -> float:
        return self.detected / max(1, self.reports)

    @property
    def cause(self) -> float:
        return self.right / max(1, self.recipients)

    @property
    def hard_recall(self) -> float:
        return self.hard_found / max(1, self.hard)

    @property
    def hard_precision(self) -> float:
        return self.hard_found / max(1, self.hard_said)


def figures(samples: Iterable[Sample], asked: Asked) -> Figures:
    """How well `samples` are read with the rules that `asked` gives for each."""
    run = Figures()
    for sample in samples:
        without, by = asked(sample)
        report = sample.read(without)
        if sample.kind == "bounce":
            run.reports += 1
            run.detected += report.kind.value == "bounce"
        elif sample.kind != "reply" and report.kind.value == "bounce":
            run.mistaken.append(sample.name)
        for place, wanted in enumerate(sample.wanted):
            if wanted.cause is None:
                continue
            told = report.recipients[place] if place < len(report.recipients) else None
            found = blame_reported(report.kind, told, asked=by) if told else None
            run.recipients += 1
            run.right += found is not None and found.cause.value == wanted.cause
            if found is None or found.cause.value != wanted.cause:
                run.wrong.append(f"{sample.name}: {found.cause.value if found else 'nothing'} is {wanted.cause}")
            is_hard = found is not None and found.hard
            if wanted.hard is not None:
                run.hard += wanted.hard
                run.hard_said += is_hard
                run.hard_found += is_hard and wanted.hard
    return run


def with_all(_: Sample) -> tuple[frozenset[str], Sequence[Rule]]:
    """Everything we have."""
    return frozenset(), _rules(frozenset(), frozenset())


def without_family(sample: Sample) -> tuple[frozenset[str], Sequence[Rule]]:
    """Without the rules and dialects of the families that the sample shows."""
    return sample.families, _rules(sample.families, frozenset())


def strictly_without(samples: Sequence[Sample]) -> Asked:
    """Without those, and without every single pattern that among `samples` only the sample's own families need.

    Harsher than the truth: a pattern written from a standard or from general knowledge goes too, if only one family of
    the corpus happens to say it.
    """
    used: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for sample in samples:
        for pattern in _deciding_patterns(sample):
            used[pattern].add(sample.families)

    def asked(sample: Sample) -> tuple[frozenset[str], Sequence[Rule]]:
        only = frozenset(
            pattern for pattern, seen in used.items() if sample.families and all(one & sample.families for one in seen)
        )
        return sample.families, _rules(sample.families, only)

    return asked


def _deciding_patterns(sample: Sample) -> set[str]:
    """The patterns of the rules that decide about a sample's recipients."""
    found = set()
    for reported in sample.read(frozenset()).recipients:
        subject = (reported.reply.status or "").partition(".")[2]
        subject = "" if subject.startswith("0.") else subject
        words = folded(reported.reply.text)
        for entry in entries():
            if rule_of(entry).matches(reported.reply.code, subject, words):
                found |= {
                    pattern
                    for pattern in _patterns(entry)
                    if rule_of({**entry, "pattern": pattern}).matches(reported.reply.code, subject, words)
                }
                break
    return found


@cache
def _rules(families: frozenset[str], patterns: frozenset[str]) -> tuple[Rule, ...]:
    kept = []
    for entry in entries():
        if entry.get("provider") in families:
            continue
        left = [pattern for pattern in _patterns(entry) if pattern not in patterns]
        if left or not _patterns(entry):
            kept.append(rule_of({**entry, "pattern": left}))
    return tuple(kept)


def _patterns(entry: dict[str, object]) -> list[str]:
    said = entry.get("pattern", [])
    return [said] if isinstance(said, str) else list(said)  # type: ignore[call-overload]
