"""What receivers say outright brakes outright: a word about the whole mailbox or domain, or mail nobody vouches for.

Where mail lands has to be weighed over many messages (policy/brake); a reply that names the subject need not be. Within
the time in which findings count as fresh, one permanent objection slows the subject and three halt it; transient ones
count half. Failing authentication holds a lane where it is: volume would only teach receivers to distrust the name.

Monotone: more objections never give a better standing. Nothing is absorbing: words age out in `LATELY`, and a halted
subject asks with its probes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from warmup.mail.answer import Reply
from warmup.policy.blame import Blame, Cause, Permanence, Scope, is_objection
from warmup.policy.brake import LATELY, Verdict, kept
from warmup.policy.standing import Standing, worst

SLOWED_AT: Final = 2
HALTED_AT: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One reply that objects to a whole mailbox or domain."""

    at: datetime
    permanent: bool
    said: str


def objection(reply: Reply, found: Blame, at: datetime) -> Objection:
    """The objection in a reply that was found to be one."""
    permanent = found.permanence is Permanence.PERMANENT
    return Objection(at=at, permanent=permanent, said=" ".join(str(reply).split())[:100])


def is_held_against_us(reply: Reply | None, found: Blame) -> bool:
    """True where the lane it was said on has to count it: never a matter of the address, the line or the IP."""
    if reply is None or found.scope in (Scope.RECIPIENT, Scope.IP, Scope.NETWORK):
        return False
    # A report may give no reply code, and then only its words tell.
    return is_objection(reply) or (found.cause in (Cause.REPUTATION, Cause.AUTHENTICATION) and not found.greylisted)


def is_about(found: Blame, scope: Scope) -> bool:
    """True where the reply objects to the whole of `scope`; a used-up limit or a refused login is no opinion."""
    return found.scope is scope and found.cause in (Cause.REPUTATION, Cause.AUTHENTICATION)


def objected(
    verdict: Verdict, objections: Iterable[Objection], now: datetime, *, previous: Verdict | None, whole: str
) -> Verdict:
    """The verdict, or a graver one where the `whole` ("domain", "mailbox") was objected to lately."""
    lately = [each for each in objections if each.at > now - LATELY]
    weight = sum(2 if each.permanent else 1 for each in lately)
    if not lately:
        return verdict
    standing = Standing.HALTED if weight >= HALTED_AT else Standing.SLOWED if weight >= SLOWED_AT else Standing.WATCHED
    last = max(lately, key=lambda each: each.at)
    return _no_better_than(standing, verdict, now, previous, f"the {whole} was objected to: {last.said}")


def unvouched(verdict: Verdict, failing: str | None, now: datetime, *, previous: Verdict | None) -> Verdict:
    """The verdict, no better than watched where authentication is `failing` (policy/authentication)."""
    if failing is None:
        return verdict
    return _no_better_than(Standing.WATCHED, verdict, now, previous, failing)


def _no_better_than(
    standing: Standing, verdict: Verdict, now: datetime, previous: Verdict | None, reason: str
) -> Verdict:
    graver = worst((standing, verdict.standing))
    if graver is verdict.standing and graver is not standing:
        return replace(verdict, reason=f"{verdict.reason}; {reason}")
    goes_on = previous is not None and previous.standing is graver
    return replace(
        verdict,
        standing=graver,
        factor=kept(graver),
        # A lane that is only thin may creep up; one that was objected to holds.
        thin=False,
        since=previous.since if previous is not None and goes_on else now,
        reason=reason if graver is not verdict.standing else f"{reason}; {verdict.reason}",
    )
