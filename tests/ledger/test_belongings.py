"""No table is forgotten where a message or a mailbox goes."""

from warmup.ledger.belongings import OF_A_MAILBOX, OF_A_MESSAGE, OF_A_REMOVED_MAILBOX
from warmup.ledger.tables import engagement_ends, engagements, mailboxes, metadata, slots


def test_whatever_refers_to_a_slot_goes_with_it() -> None:
    refers = {table for table in metadata.tables.values() if "slot_id" in table.columns}
    assert refers == {*OF_A_MESSAGE, engagements}
    assert [table for table in metadata.tables.values() if "engagement_id" in table.columns] == [engagement_ends]


def test_whatever_is_a_mailboxs_goes_with_it_or_with_its_messages() -> None:
    theirs = {table for table in metadata.tables.values() if "mailbox_id" in table.columns}
    assert theirs - {*OF_A_MESSAGE, engagements, slots} == {*OF_A_MAILBOX, *OF_A_REMOVED_MAILBOX}
    assert mailboxes not in theirs


def test_nothing_goes_before_what_refers_to_it() -> None:
    for tables in (OF_A_MESSAGE, OF_A_MAILBOX):
        gone: set[str] = set()
        for table in tables:
            gone.add(table.name)
            referred = {key.column.table.name for key in table.foreign_keys}
            assert not referred & gone
