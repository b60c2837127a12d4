"""The same questions on a server with 200,000 messages behind it: none of them reads through a table of history."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Select, text

from tests.ledger.conftest import NOW, World
from tests.ledger.test_queries import ASKED, HOT
from tests.postgres import Server
from warmup.ledger import Ledger
from warmup.ledger.columns import UtcDateTime

pytestmark = pytest.mark.lab

ROWS = 200_000
MAILBOXES = 200
HISTORY = frozenset(
    {"slots", "attempts", "outcomes", "sightings", "lapses", "standings", "days", "lane_days", "looks", "suppressions"}
)

# One message of every mailbox a minute, accepted and seen, as the writers would have left it.
FILL = """
INSERT INTO accounts (id, smtp_host, username)
    SELECT n, 'mail.test', 'u' || n FROM generate_series(1000, 999 + :mailboxes) n;
INSERT INTO mailboxes SELECT (jsonb_populate_record(m, jsonb_build_object(
        'id', n, 'account_id', n, 'address', 'u' || n || '@send.test', 'address_key', 'u' || n || '@send.test',
        'username', 'u' || n))).*
    FROM generate_series(1000, 999 + :mailboxes) n, mailboxes m WHERE m.id = 1;
INSERT INTO slots (id, mailbox_id, account_id, date, number, recipient_id, provider, kind, thread_id, due_at, nonce,
        message_id, grammar, language, seed, planned_at)
    SELECT n, 1000 + n % :mailboxes, 1000 + n % :mailboxes, DATE '2026-03-01' - (n / 8000)::int, n % 8000, 2,
        'one.test', 'new', 't' || n, :now - n * 1000000::bigint, 'nonce'::bytea, '<' || n || '@send.test>', 'g', 'en',
        's' || n, :now
    FROM generate_series(1000, 999 + :rows) n;
INSERT INTO attempts (id, slot_id, ordinal, account_id, domain, claimed_at, node)
    SELECT id, id, 1, account_id, 'send.test', due_at, 'n' FROM slots WHERE id >= 1000;
INSERT INTO outcomes (attempt_id, slot_id, account_id, domain, mailbox_id, date, provider, at, outcome, source, reply)
    SELECT id, id, account_id, 'send.test', mailbox_id, date, provider, due_at, 'accepted', 'smtp', 'OK' FROM slots
    WHERE id >= 1000;
INSERT INTO days (mailbox_id, date, day, ceiling, target, reason, planned_at)
    SELECT DISTINCT mailbox_id, date, 1, 9, 9, '', :now FROM slots WHERE id >= 1000;
INSERT INTO lane_days (mailbox_id, date, provider, level, ceiling, factor, target, standing)
    SELECT mailbox_id, date, 'one.test', 1, 9, 1, 9, 'sound' FROM days;
INSERT INTO standings (id, at, subject_kind, subject, provider, standing, thin, since, reason, n, factor)
    SELECT n, :now, 'lane', 'u' || 1000 + n % :mailboxes || '@send.test', 'one.test', 'sound', false, :now, '', 9, 1
    FROM generate_series(1000, 20999) n;
INSERT INTO standing_heads (subject_kind, subject, provider, standing_id)
    SELECT subject_kind, subject, provider, max(id) FROM standings GROUP BY 1, 2, 3;
INSERT INTO suppressions (address, at, reason) SELECT 'x' || n || '@a.test', :now, '' FROM generate_series(1, 5000) n;
"""


def plan_of(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[str]:
    """PostgreSQL's own account of how it will answer."""
    spelled = query.params(ASKED).compile(connection.engine, compile_kwargs={"literal_binds": True})
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {spelled}".replace("%", "%%"))]


@pytest.fixture(scope="module")
def full_database(postgres: Server, blank_database: str) -> str:
    return postgres.database(template=blank_database)


@pytest.fixture
async def full(full_database: str, postgres: Server, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger with a long history, filled once."""
    opened = Ledger.open(postgres.url(full_database), beside=tmp_path / "w", durable=False)
    if not await opened.mailboxes.list():
        await opened.installation.establish(now=NOW, token="t")
        await World.founded(opened)
        await opened.store.write(fill)
    yield opened
    await opened.close()


def fill(connection: Connection) -> None:
    now = UtcDateTime().process_bind_param(NOW, connection.dialect)
    for statement in FILL.split(";\n"):
        if statement.strip():
            asked = {"now": now, "rows": ROWS, "mailboxes": MAILBOXES}
            connection.execute(text(statement), {name: asked[name] for name in asked if f":{name}" in statement})
    connection.exec_driver_sql("ANALYZE")


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_query_reads_no_history_through(full: Ledger, name: str) -> None:
    steps = await full.store.read(plan_of, HOT[name])
    through = [step for step in steps if "Seq Scan on" in step and step.split("Seq Scan on ")[1].split()[0] in HISTORY]
    assert through == [], "\n".join(steps)
