"""What receivers said of our messages' authentication, lane by lane, for the judge and for whoever asks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime

from sqlalchemy import Connection, Row, func, select

from warmup.ledger.tables_said import authentications
from warmup.policy.authentication import LATELY, Method, Share, Vouched, shares
from warmup.policy.mailbox import MailboxId

Lane = tuple[MailboxId, str]


def read_vouched(connection: Connection, ids: Iterable[int], from_date: date) -> dict[Lane, list[Vouched]]:
    """What was said of these senders' messages of dates from then on, by lane, oldest first."""
    query = (
        select(authentications)
        .where(authentications.c.mailbox_id.in_(list(ids)), authentications.c.date >= from_date)
        .order_by(authentications.c.at, authentications.c.slot_id)
    )
    found: defaultdict[Lane, list[Vouched]] = defaultdict(list)
    for row in connection.execute(query):
        vouched = Vouched(at=row.at, results=_results(row))
        found[MailboxId(row.mailbox_id), row.provider].append(vouched)
    return dict(found)


def read_shares(connection: Connection, now: datetime) -> dict[Lane, Mapping[Method, Share]]:
    """How often each method passed lately, by lane, in one pass over the whole fleet."""
    said = (authentications.c.spf, authentications.c.dkim, authentications.c.dmarc)
    lane = (authentications.c.mailbox_id, authentications.c.provider)
    lately = authentications.c.date >= (now - LATELY).date()
    query = select(*lane, *said, func.count().label("n")).where(lately).group_by(*lane, *said)
    found: defaultdict[Lane, list[tuple[Mapping[Method, str], int]]] = defaultdict(list)
    for row in connection.execute(query):
        found[MailboxId(row.mailbox_id), row.provider].append((_results(row), row.n))
    return {lane: shares(counts) for lane, counts in found.items()}


def _results(row: Row[*tuple[object, ...]]) -> dict[Method, str]:
    named = ((method, getattr(row, method.value)) for method in Method)
    return {method: result for method, result in named if result is not None}
