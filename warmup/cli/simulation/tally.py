"""What became of one lane's day, in numbers; and the truth of it, which only measures may read."""

from dataclasses import dataclass, field

from warmup.policy.standing import Standing


@dataclass(slots=True, kw_only=True)
class Tally:
    """One lane's day. `sent` was accepted; `strangers` are those of its messages whose pair had no H (MODEL.md).

    A message counts where it was placed first: that a receiver moves some to spam later is told to the controller, but
    no ramp changes it, so no ramp is judged by it. `true_spam` is the greatest probability of the day that a stranger's
    message went to spam, None where no truth is known (`outside`), and `expected_spam` those probabilities added up
    over what was sent. `standing` is the gravest of the day, None under a controller that knows none.
    """

    target: int = 0
    sent: int = 0
    inbox: int = 0
    spam: int = 0
    missing: int = 0
    deferred: int = 0
    refused: int = 0
    complaints: int = 0
    strangers: int = 0
    stranger_spam: int = 0
    true_spam: float | None = None
    expected_spam: float = 0.0
    standing: Standing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One domain's days under one controller: `days[n][lane]` on day n + 1, lanes mailbox by mailbox."""

    boxes: range
    days: list[list[Tally]] = field(default_factory=list)


def graver(one: Standing | None, other: Standing | None) -> Standing | None:
    """The graver of two standings; the known one where only one is."""
    if one is None or other is None or one is other:
        return one or other
    return one if one.gravity > other.gravity else other
