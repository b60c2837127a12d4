"""How long doors are left alone, and how a server is spared."""

from warmup.policy.mailbox import MailboxId, Protocol
from warmup.steps.backoff import HELD_SECONDS, LONGEST_BUSY_SECONDS, LONGEST_SECONDS, REFUSED_SECONDS, Backoff
from warmup.steps.narrow import NARROW_SECONDS, Narrow

ANN, SMTP, IMAP = MailboxId(1), Protocol.SMTP, Protocol.IMAP


def waits(n: int, *, busy: bool) -> list[float]:
    backoff = Backoff()
    return [backoff.failed(ANN, SMTP, 0.0, busy=busy) for _ in range(n)]


def test_every_failure_doubles_the_wait_up_to_an_hour_or_six_where_the_server_asked_for_patience() -> None:
    assert waits(3, busy=False) == [5, 10, 20]
    assert max(waits(40, busy=False)) == LONGEST_SECONDS
    assert max(waits(40, busy=True)) == LONGEST_BUSY_SECONDS >= 6 * 3600


def test_chance_stretches_a_wait_and_never_shortens_it() -> None:
    assert [Backoff().failed(ANN, SMTP, 0.0, chance=chance) for chance in (0.0, 0.5, 1.0)] == [5, 5.625, 6.25]


def test_a_refused_login_waits_an_hour_a_held_one_is_asked_for_again_soon_and_a_success_forgets() -> None:
    backoff = Backoff()
    assert backoff.failed(ANN, SMTP, 0.0, refused=True) == REFUSED_SECONDS
    assert backoff.holds(ANN, SMTP, REFUSED_SECONDS - 1)
    assert not backoff.holds(ANN, IMAP, 1)
    backoff.held(ANN, SMTP, 0.0)
    assert backoff.holds(ANN, SMTP, HELD_SECONDS - 1)
    assert not backoff.holds(ANN, SMTP, HELD_SECONDS)
    backoff.failed(ANN, IMAP, 0.0)
    backoff.succeeded(ANN, IMAP)
    assert not backoff.holds(ANN, IMAP, 0.0)


def test_a_spared_server_has_one_of_us_at_a_time_for_an_hour() -> None:
    narrow = Narrow()
    with narrow.way("mx.test", 0.0) as first, narrow.way("mx.test", 0.0) as second:
        assert first
        assert second
        narrow.spare("mx.test", 10.0)
        with narrow.way("mx.test", 11.0) as third, narrow.way("other.test", 11.0) as elsewhere:
            assert not third
            assert elsewhere
    with narrow.way("mx.test", 12.0) as alone:
        assert alone
        with narrow.way("mx.test", 13.0) as beside:
            assert not beside
    with narrow.way("mx.test", 10.0 + NARROW_SECONDS) as one, narrow.way("mx.test", 10.0 + NARROW_SECONDS) as two:
        assert one
        assert two
