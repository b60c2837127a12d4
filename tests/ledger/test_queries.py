"""What is asked often reads an index and nothing else: asking costs what is due, not what there is."""

from typing import Any

import pytest
from sqlalchemy import Connection, Select, select

from tests.ledger.conftest import NOW, World
from warmup.ledger import sightings, slots
from warmup.ledger.situation import CLAIM_QUERIES, OF_ACCOUNT, OF_DOMAIN, Uses
from warmup.ledger.standings import Subject, head_query
from warmup.policy.mailbox import MailboxId

WHO = MailboxId(1)
ASKED: dict[str, Any] = {
    "account_id": 1, "mailbox": 1, "slot": 1, "address": "ann@send.test", "domain": "send.test",
    "server": "smtp.send.test", "provider": "one.test", "date": NOW.date(), "now": NOW, "hour_ago": NOW,
    "hour_elapsed": NOW, "minute_ago": NOW, "since": NOW, "own_since": NOW,
}  # fmt: skip


def plan_of(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[str]:
    """SQLite's own account of how it will answer."""
    spelled = query.params(ASKED).compile(connection.engine, compile_kwargs={"literal_binds": True})
    return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {spelled}")]


HOT = {
    "due": slots.due_query(NOW),
    "due_of": slots.due_of_query(WHO, NOW),
    "watches due": sightings.due_query(NOW),
    "listening": sightings.listening_query(NOW),
    "awaited": sightings.awaited_query().params(mailbox=WHO),
    "standing": head_query(Subject.LANE, "ann@send.test", "one.test"),
    **{f"used of {uses.column}": select(*uses.counts()) for uses in (OF_ACCOUNT, OF_DOMAIN)},
    **{f"claim {n}": query for n, query in enumerate(CLAIM_QUERIES)},
}


@pytest.mark.parametrize("name", HOT)
async def test_a_hot_query_searches_and_never_scans(file_world: World, name: str) -> None:
    steps = await file_world.ledger.store.read(plan_of, HOT[name])
    assert steps
    assert [step for step in steps if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"] == [], steps
    assert [step for step in steps if "TEMP B-TREE FOR DISTINCT" in step] == [], steps


@pytest.mark.parametrize("uses", [OF_ACCOUNT, OF_DOMAIN], ids=["account", "domain"])
async def test_the_window_is_counted_without_touching_the_table(file_world: World, uses: Uses) -> None:
    ours = uses.counts()[0]
    steps = await file_world.ledger.store.read(plan_of, select(ours))
    assert all("COVERING INDEX" in step for step in steps if "outcomes" in step), steps
