"""Evidence fades, turns are seen, and the estimate says how sure it is."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.beta import beta_quantile, beta_share
from warmup.policy.evidence import Evidence, Finding, Sign, evidence_of, pooled, sign_of
from warmup.policy.fate import Placement
from warmup.policy.reputation import estimate

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIGNS = st.sampled_from(list(Sign))


def findings(signs: Sequence[Sign], *, every: timedelta = HOUR, control: bool = False) -> list[Finding]:
    return [Finding(at=START + number * every, sign=sign, control=control) for number, sign in enumerate(signs)]


def evidence(good: int, bad: int = 0, *, every: timedelta = HOUR, control: bool = False) -> Evidence:
    return evidence_of(findings([Sign.SPAM] * bad + [Sign.INBOX] * good, every=every, control=control))


def test_unobserved_is_evidence_of_nothing() -> None:
    assert sign_of(Placement.UNOBSERVED) is None
    assert sign_of(Placement.PROMOTIONS) is Sign.INBOX
    assert sign_of(Placement.INBOX, reclassified_to_spam=True) is Sign.MOVED


def test_missing_is_not_inbox() -> None:
    lost = evidence_of(findings([Sign.MISSING] * 5 + [Sign.INBOX] * 15))
    assert estimate(lost, START + 20 * HOUR).inbox_ratio < 0.85


def test_moved_to_spam_later_is_spam_in_the_report_and_half_of_it_for_the_brake() -> None:
    now = START + 40 * HOUR
    moved, spam, good = (
        estimate(evidence_of(findings([*[Sign.INBOX] * 20, *[sign] * 3, *[Sign.INBOX] * 10])), now)
        for sign in (Sign.MOVED, Sign.SPAM, Sign.INBOX)
    )
    assert moved.bad == pytest.approx(spam.bad, rel=0.2)
    assert good.harm < moved.harm < spam.harm


def test_the_estimate_of_nothing_is_wide_open() -> None:
    nothing = estimate(Evidence(), START)
    assert (nothing.n, nothing.weight) == (0, 0)
    assert nothing.lower_ratio < 0.1
    assert nothing.upper_ratio > 0.99


def test_evidence_ages_out_and_is_forgotten_after_sixty_days() -> None:
    seen = evidence(20, 5)
    now = START + 25 * HOUR
    weights = [estimate(seen, now + timedelta(days=days)).weight for days in (0, 7, 14, 59)]
    assert weights == sorted(weights, reverse=True)
    assert weights[1] == pytest.approx(weights[0] / 2)
    assert seen.by(now + timedelta(days=61)).is_empty


def test_control_seeds_weigh_more() -> None:
    mixed = [*findings([Sign.INBOX] * 10), *findings([Sign.SPAM] * 5, control=True)]
    even = [*findings([Sign.INBOX] * 10), *findings([Sign.SPAM] * 5)]
    by_control, by_treated = (estimate(evidence_of(sorted(all_, key=lambda f: f.at)), START + 15 * HOUR)
                              for all_ in (mixed, even))  # fmt: skip
    assert by_control.inbox_ratio < by_treated.inbox_ratio
    assert by_control.harm > by_treated.harm


def test_a_lane_that_knows_little_leans_on_its_neighbours() -> None:
    now = START + 30 * HOUR
    own, bad = evidence(2), evidence(5, 25)
    alone, near = estimate(own, now), estimate(own, now, domain=[bad])
    assert near.harm > alone.harm + 0.1
    much = evidence(60)
    settled = START + 60 * HOUR
    assert estimate(much, settled, domain=[bad]).harm < near.harm / 2


def test_a_run_of_good_findings_outweighs_what_was_before_it() -> None:
    turned = evidence_of(findings([Sign.SPAM] * 20 + [Sign.INBOX] * 20))
    assert estimate(turned, START + 40 * HOUR).harm < 0.1


def test_a_run_of_bad_findings_outweighs_months_of_good_ones() -> None:
    turned = evidence_of(findings([Sign.INBOX] * 200 + [Sign.SPAM] * 4))
    assert estimate(turned, START + 204 * HOUR).harm > 0.5


def test_pooling_adds_up_and_keeps_the_latest_findings() -> None:
    one, two = evidence(5), evidence_of(findings([Sign.SPAM] * 6, every=2 * HOUR))
    now = START + 12 * HOUR
    both = pooled([one, two, Evidence()], now)
    assert both.sightings == 11
    assert both.fast.weight == pytest.approx(one.by(now).fast.weight + two.by(now).fast.weight)
    assert [finding.at for finding in both.recent] == sorted(finding.at for finding in both.recent)


@given(st.lists(SIGNS, min_size=1, max_size=60), st.integers(0, 59))
def test_a_worse_finding_never_lowers_the_harm(signs: list[Sign], where: int) -> None:
    where %= len(signs)
    worse = [*signs[:where], Sign.SPAM, *signs[where + 1 :]]
    better = [*signs[:where], Sign.INBOX, *signs[where + 1 :]]
    now = START + len(signs) * HOUR
    bad, good = estimate(evidence_of(findings(worse)), now), estimate(evidence_of(findings(better)), now)
    assert bad.harm >= good.harm - 1e-9
    assert bad.inbox_ratio <= good.inbox_ratio + 1e-9


@given(st.lists(SIGNS, max_size=40), st.lists(SIGNS, max_size=40))
def test_a_fold_goes_on_from_where_it_stopped(first: list[Sign], then: list[Sign]) -> None:
    whole = findings([*first, *then])
    evidence_ = evidence_of(whole[: len(first)])
    for finding in whole[len(first) :]:
        evidence_ = evidence_.after(finding)
    assert evidence_ == evidence_of(whole)


@given(st.floats(0.2, 200), st.floats(0.2, 200), st.floats(0.01, 0.99))
def test_a_quantile_is_the_inverse_of_the_share(a: float, b: float, p: float) -> None:
    x = beta_quantile(p, a, b)
    assert beta_share(max(0.0, x - 2e-6), a, b) - 1e-4 <= p <= beta_share(min(1.0, x + 2e-6), a, b) + 1e-4


def test_the_share_agrees_with_closed_forms() -> None:
    assert beta_share(0.3, 1, 1) == pytest.approx(0.3)
    assert beta_share(0.3, 2, 1) == pytest.approx(0.09)
    assert beta_share(0.7, 1, 3) == pytest.approx(1 - 0.3**3)
    binomial = sum(math.comb(9, k) * 0.4**k * 0.6 ** (9 - k) for k in range(4, 10))
    assert beta_share(0.4, 4, 6) == pytest.approx(binomial)


@pytest.mark.parametrize(("p", "a", "b"), [(-0.1, 1, 1), (1.1, 1, 1), (0.5, 0, 1), (0.5, 1, -1)])
def test_a_quantile_of_nonsense_is_refused(p: float, a: float, b: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        beta_quantile(p, a, b)


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = Random(3)
    covered = 0
    for _ in range(1500):
        truth, n = rng.uniform(0.5, 1), rng.randint(10, 120)
        signs = [Sign.INBOX if rng.random() < truth else Sign.SPAM for _ in range(n)]
        told = estimate(evidence_of(findings(signs)), START + n * HOUR)
        covered += told.lower_ratio <= truth <= told.upper_ratio
    assert 0.93 <= covered / 1500 <= 0.97
