"""A whole ledger from one database into another, row by row, and verified: the way to a server and back.

The copy is one transaction into an empty ledger: all of it, or none. Numbers that were given once are never given
again, those of rows that are gone included. Two daemons on two copies would send everything twice, so the ledger that
was copied is marked as gone on elsewhere: a daemon started on it takes it for a restored one, and holds.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, func, insert, select, text

from warmup.ledger import schema
from warmup.ledger import tables_said as _tables_said  # noqa: F401 (the rest of the tables)
from warmup.ledger.database import Database
from warmup.ledger.engines import Hand, engine_of, in_our_words
from warmup.ledger.errors import LedgerDamaged, LedgerError
from warmup.ledger.highwater import HighWater, Mark
from warmup.ledger.tables import metadata

_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """How many `rows` of a `table` were copied and read back, and the SHA-256 of all of them in order of their keys."""

    table: str
    rows: int
    sha256: str


def copy_ledger(source: Database, target: Database) -> tuple[Copied, ...]:
    """Copy everything, read both back and compare; a line for every table.

    Asked while no daemon holds either. Raises LedgerError where the target has rows, LedgerDamaged where the copy does
    not equal what it was made from; then nothing was kept.
    """
    schema.check(source.spelled)
    made = target.file is not None and not target.file.exists()
    try:
        schema.upgrade(target.spelled)
        return _copied_whole(source, target)
    except BaseException:
        if made:
            _remove(target)
        raise


def _copied_whole(source: Database, target: Database) -> tuple[Copied, ...]:
    reader, writer = engine_of(source, Hand.READER), engine_of(target, Hand.WRITER)
    try:
        with in_our_words(source), reader.begin() as there, in_our_words(target), writer.begin() as here:
            _refuse_rows(here, target)
            copied = tuple(_copied(there, here, table) for table in metadata.sorted_tables)
            for table in metadata.sorted_tables:
                _go_on_counting(there, here, table)
            _move_marks(there, source, target)
    finally:
        reader.dispose()
        writer.dispose()
    return copied


def _remove(target: Database) -> None:
    assert target.file is not None
    for suffix in ("", "-wal", "-shm"):
        target.file.with_name(target.file.name + suffix).unlink(missing_ok=True)


def _refuse_rows(here: Connection, target: Database) -> None:
    for table in metadata.sorted_tables:
        if here.execute(select(func.count()).select_from(table)).scalar_one():
            raise LedgerError(f"{target} has rows in {table.name}; copy into an empty one")


def _copied(there: Connection, here: Connection, table: Table) -> Copied:
    for rows in _rows(there, table).mappings().partitions():
        here.execute(insert(table), [dict(row) for row in rows])
    before, after = _summed(there, table), _summed(here, table)
    if before != after:
        raise LedgerDamaged(f"the copy of {table.name} differs from what it was made from; nothing was kept")
    return after


def _summed(connection: Connection, table: Table) -> Copied:
    digest, count = hashlib.sha256(), 0
    for row in _each(connection, table):
        digest.update(repr(tuple(row)).encode())
        count += 1
    return Copied(table=table.name, rows=count, sha256=digest.hexdigest())


def _each(connection: Connection, table: Table) -> Iterator[Row[*tuple[Any, ...]]]:
    for rows in _rows(connection, table).partitions():
        yield from rows


def _rows(connection: Connection, table: Table) -> Any:
    # A reply has a greater number than what it answers, so parents come first.
    query = select(table).order_by(*table.primary_key.columns)
    return connection.execute(query, execution_options={"yield_per": _BATCH})


def _go_on_counting(there: Connection, here: Connection, table: Table) -> None:
    """Give no number again that was given before."""
    if "id" not in table.c or not table.c.id.autoincrement or table.name == "installation":
        return
    last = max(_last_number(there, table), here.execute(select(func.max(table.c.id))).scalar() or 0)
    if last == 0:
        return
    if here.dialect.name == "postgresql":
        here.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"), {"table": table.name, "last": last}
        )
    elif table.dialect_options["sqlite"]["autoincrement"]:
        here.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table.name})
        here.execute(
            text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), {"table": table.name, "last": last}
        )


def _last_number(there: Connection, table: Table) -> int:
    if there.dialect.name == "postgresql":
        query = "SELECT pg_sequence_last_value(pg_get_serial_sequence(:table, 'id')::regclass)"
    elif table.dialect_options["sqlite"]["autoincrement"]:
        query = "SELECT seq FROM sqlite_sequence WHERE name = :table"
    else:
        return 0
    return there.execute(text(query), {"table": table.name}).scalar() or 0


def _move_marks(there: Connection, source: Database, target: Database) -> None:
    installation = metadata.tables["installation"]
    row = there.execute(select(installation.c.incarnation, installation.c.last_attempt)).one_or_none()
    if row is None:
        return
    for database, mark in ((target, Mark(row.incarnation, row.last_attempt)), (source, Mark(row.incarnation + 1, 0))):
        high_water = HighWater(database.mark)
        try:
            high_water.raise_to(mark)
        finally:
            high_water.close()
