"""What is believed of a slot: a sighting before SMTP, SMTP before recovery."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.conftest import NOW
from warmup.ledger.believed import Fate, Landing, Seen, fate, landing
from warmup.ledger.sightings import Stage
from warmup.policy.fate import Outcome, Placement, Source

ENDED = st.tuples(st.sampled_from(Outcome), st.sampled_from([Source.SMTP, Source.RECOVERY]))
LANDED = st.builds(
    lambda placement: Landing(placement=placement, reclassified=None, at=NOW, folder=None), st.sampled_from(Placement)
)


def seen(stage: Stage, placement: Placement, at: datetime = NOW) -> Seen:
    return Seen(stage=stage, placement=placement, at=at)


@given(st.none() | ENDED, st.none() | LANDED, st.booleans(), st.booleans())
def test_a_message_that_was_seen_was_accepted_whatever_was_said(
    last: tuple[Outcome, Source] | None, landed: Landing | None, in_flight: object, lapsed: object
) -> None:
    believed, source = fate(last, landed, in_flight=bool(in_flight), lapsed=bool(lapsed))
    if landed is not None and landed.placement.is_seen:
        assert believed is Fate.ACCEPTED
        smtp_said_so = last is not None and last[0] is Outcome.ACCEPTED
        assert source is (last[1] if last and smtp_said_so else Source.SIGHTING)
    elif in_flight:
        assert (believed, source) == (Fate.IN_FLIGHT, None)
    elif lapsed:
        assert (believed, source) == (Fate.LAPSED, None)
    elif last is None:
        assert (believed, source) == (Fate.PLANNED, None)
    else:
        assert (believed.value, source) == (last[0].value, last[1])


@pytest.mark.parametrize(
    ("first", "second", "placement", "reclassified", "judged"),
    [
        (Placement.INBOX, None, Placement.INBOX, None, Placement.INBOX),
        (Placement.INBOX, Placement.SPAM, Placement.INBOX, Placement.SPAM, Placement.SPAM),
        (Placement.SPAM, Placement.INBOX, Placement.SPAM, Placement.INBOX, Placement.SPAM),
        (Placement.MISSING, None, Placement.MISSING, None, Placement.MISSING),
        (Placement.MISSING, Placement.SPAM, Placement.SPAM, None, Placement.SPAM),
        (Placement.INBOX, Placement.MISSING, Placement.INBOX, None, Placement.INBOX),
        (Placement.UNOBSERVED, Placement.INBOX, Placement.INBOX, None, Placement.INBOX),
    ],
)
def test_the_first_sighting_is_the_placement(
    first: Placement,
    second: Placement | None,
    placement: Placement,
    reclassified: Placement | None,
    judged: Placement,
) -> None:
    found = [seen(Stage.FIRST, first)] + ([seen(Stage.SECOND, second)] if second else [])
    landed = landing(found)
    assert landed is not None
    assert (landed.placement, landed.reclassified, landed.judged) == (placement, reclassified, judged)


def test_nothing_seen_is_no_landing() -> None:
    assert landing([]) is None
