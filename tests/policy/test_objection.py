"""Words about a whole mailbox or domain brake it at once, and no longer than they are fresh."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Reply
from warmup.policy.blame import Scope, blame
from warmup.policy.brake import LATELY, Verdict, judge_lane, kept
from warmup.policy.evidence import Finding, Sign, evidence_of
from warmup.policy.objection import Objection, is_about, is_held_against_us, objected, objection, unvouched
from warmup.policy.standing import Standing

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SIGNS = st.lists(st.sampled_from(list(Sign)), max_size=30)
OBJECTIONS = st.lists(
    st.builds(
        Objection,
        at=st.integers(0, 100).map(lambda hours: NOW - hours * HOUR),
        permanent=st.booleans(),
        said=st.just("550 5.7.26 unauthenticated"),
    ),
    max_size=6,
)


def verdict_of(signs: list[Sign]) -> Verdict:
    return judge_lane(evidence_of(Finding(at=NOW - (30 - n) * HOUR, sign=sign) for n, sign in enumerate(signs)), NOW)


def said(hours_ago: int, *, permanent: bool = True) -> Objection:
    return Objection(at=NOW - hours_ago * HOUR, permanent=permanent, said="550 5.7.26 unauthenticated")


@given(SIGNS, OBJECTIONS, OBJECTIONS)
def test_more_objections_never_give_a_better_standing(
    signs: list[Sign], some: list[Objection], more: list[Objection]
) -> None:
    verdict = verdict_of(signs)
    few = objected(verdict, some, NOW, previous=None, whole="domain")
    many = objected(verdict, [*some, *more], NOW, previous=None, whole="domain")
    assert verdict.standing.gravity <= few.standing.gravity <= many.standing.gravity
    assert many.factor == kept(many.standing)


@given(SIGNS, OBJECTIONS)
def test_judging_again_says_the_same(signs: list[Sign], some: list[Objection]) -> None:
    once = objected(verdict_of(signs), some, NOW, previous=None, whole="domain")
    again = objected(verdict_of(signs), some, NOW, previous=once, whole="domain")
    assert once == again


@given(SIGNS, OBJECTIONS)
def test_words_age_out(signs: list[Sign], some: list[Objection]) -> None:
    later = NOW + LATELY + HOUR
    verdict = judge_lane(evidence_of(Finding(at=NOW - HOUR, sign=sign) for sign in signs), later)
    assert objected(verdict, some, later, previous=None, whole="domain") == verdict


def test_one_refusal_for_good_slows_three_halt_and_one_for_now_watches() -> None:
    sound = verdict_of([Sign.INBOX] * 20)
    assert sound.standing is Standing.SOUND

    def standing(*words: Objection) -> Standing:
        return objected(sound, words, NOW, previous=sound, whole="domain").standing

    assert standing(said(1, permanent=False)) is Standing.WATCHED
    assert standing(said(1)) is Standing.SLOWED
    assert standing(said(1), said(2), said(3)) is Standing.HALTED
    slowed = objected(sound, [said(1)], NOW, previous=sound, whole="domain")
    assert slowed.reason.startswith("the domain was objected to: 550 5.7.26")
    assert slowed.since == NOW


def test_failing_authentication_holds_a_sound_lane_and_betters_no_braked_one() -> None:
    sound, braked = verdict_of([Sign.INBOX] * 20), verdict_of([Sign.INBOX] * 10 + [Sign.SPAM] * 10)
    held = unvouched(sound, "DKIM fails at gmail (5 of the last 6)", NOW, previous=sound)
    assert (held.standing, held.thin, held.factor) == (Standing.WATCHED, False, 1.0)
    assert held.reason.startswith("DKIM fails at gmail")
    worse = unvouched(braked, "DKIM fails at gmail", NOW, previous=braked)
    assert (worse.standing, worse.since) == (braked.standing, braked.since)
    assert worse.reason.endswith("; DKIM fails at gmail")
    assert unvouched(sound, None, NOW, previous=sound) == sound


def test_the_ip_the_line_and_the_address_are_not_the_lanes_fault() -> None:
    for reply in (
        Reply(code=421, status="4.7.28", text="Gmail has detected an unusual rate of mail originating from your IP"),
        Reply(code=550, status="5.7.708", text="Access denied, traffic not accepted from this IP"),
        Reply(code=550, status="5.1.1", text="No such user"),
        Reply(code=-1, status="4.4.1", text="connect to mx.test: Connection refused"),
    ):
        assert not is_held_against_us(reply, blame(reply)), reply
    assert not is_held_against_us(None, blame(Reply(code=-1)))
    spam = Reply(code=550, status="5.7.1", text="Message rejected as spam")
    assert is_held_against_us(spam, blame(spam))
    by_report = Reply(code=-1, status="5.7.1", text="Message rejected as spam")
    assert is_held_against_us(by_report, blame(by_report, action="failed"))


def test_what_is_about_the_domain_is_told_from_what_is_not() -> None:
    domain = Reply(code=550, status="5.7.26", text="This mail is unauthenticated")
    assert is_about(blame(domain), Scope.DOMAIN)
    assert objection(domain, blame(domain), NOW).permanent
    limit = Reply(code=550, status="5.4.5", text="Daily user sending limit exceeded")
    assert not is_about(blame(limit), Scope.MAILBOX)
