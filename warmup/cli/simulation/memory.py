"""One lane's findings and their fold, kept in order of handing over, as the judge reads them from the ledger.

News may come late (a missing message, a complaint) or change an earlier finding (moved to spam). The fold is then done
again from there on, so that the evidence is at every instant what `evidence_of` makes of all findings known by then.
"""

from bisect import bisect_left
from typing import Final

from warmup.cli.simulation.post import Learnt
from warmup.cli.simulation.setting import instant
from warmup.policy.evidence import Evidence, Finding, Sign

_KEPT: Final = 600
"""Findings that may still change: nothing comes later than two days, and no lane carries so much in two days."""


class LaneMemory:
    """What is known of one lane."""

    def __init__(self) -> None:
        self._keys: list[tuple[float, int, bool]] = []
        self._findings: list[Finding] = []
        self._folded: list[Evidence] = []
        self._before = Evidence()

    def learn(self, news: Learnt) -> None:
        """One more finding, or another reading of an earlier one."""
        key = (news.at, news.number, news.sign is Sign.COMPLAINT)
        finding = Finding(at=instant(news.at), sign=news.sign, control=news.control)
        where = bisect_left(self._keys, key)
        if where < len(self._keys) and self._keys[where] == key:
            self._findings[where] = finding
        else:
            self._keys.insert(where, key)
            self._findings.insert(where, finding)
        del self._folded[where:]

    @property
    def is_begun(self) -> bool:
        """True once anything is known."""
        return bool(self._keys)

    @property
    def evidence(self) -> Evidence:
        """The fold of all that is known."""
        folded = self._folded
        last = folded[-1] if folded else self._before
        for finding in self._findings[len(folded) :]:
            last = last.after(finding)
            folded.append(last)
        if len(folded) > 2 * _KEPT:
            self._before = folded[_KEPT - 1]
            for kept in (self._keys, self._findings, folded):
                del kept[:_KEPT]
        return last
