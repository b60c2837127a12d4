"""Statements of the hot path, compiled once: what SQLAlchemy does for each execution costs more than SQLite's answer.

A prepared statement is written in SQLAlchemy like any other, and runs in the connection's transaction. On SQLite its
text, the order of its values and what each type makes of them are kept, and the driver is asked directly; on any other
database it is executed as usual. What the driver raises is raised as SQLAlchemy would.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Delete, Dialect, Insert, RowMapping, Select, Update, exc

Row = Mapping[str, Any] | RowMapping
_Processor = Callable[[Any], Any] | None
_ASKED_FOR: Final = object()
"""In a plan: this value is the caller's. Any other is the statement's own."""

Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class _Plan:
    """The text for the driver, what to say in it in which order, and how its columns are read by name."""

    text: str
    given: tuple[tuple[str, Any, _Processor], ...]
    columns: tuple[tuple[str, _Processor], ...]

    def said(self, values: Row) -> list[Any]:
        """The values in the driver's order, and as the driver takes them."""
        return [
            value if process is None else process(value)
            for value, process in (
                (values[name] if own is _ASKED_FOR else own, process) for name, own, process in self.given
            )
        ]


class Prepared:
    """A statement that is run often, with other values each time. An insert names the `columns` it fills."""

    def __init__(self, statement: Statement, columns: Sequence[str] | None = None) -> None:
        self.statement = statement
        self._columns = list(columns) if columns is not None else None
        self._plan: _Plan | None = None

    def all(self, connection: Connection, values: Row) -> Sequence[Row]:
        """The rows, by column."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self.statement, dict(values)).mappings().all()
        plan, cursor = self._asked(connection, values)
        return [
            {
                name: value if process is None else process(value)
                for (name, process), value in zip(plan.columns, row, strict=True)
            }
            for row in cursor
        ]

    def first(self, connection: Connection, values: Row) -> Row | None:
        """The one row there is, or none."""
        return next(iter(self.all(connection, values)), None)

    def one(self, connection: Connection, values: Row) -> Row:
        """The one row there is; NoResultFound where there is none."""
        row = self.first(connection, values)
        if row is None:
            raise exc.NoResultFound("a row was expected and there is none")
        return row

    def run(self, connection: Connection, values: Row) -> None:
        """Change what it changes."""
        if connection.dialect.name != "sqlite":
            connection.execute(self.statement, dict(values))
        else:
            self._asked(connection, values)

    def run_all(self, connection: Connection, rows: Sequence[Row]) -> None:
        """The same, once for each of the rows."""
        if connection.dialect.name != "sqlite":
            connection.execute(self.statement, [dict(values) for values in rows])
            return
        plan, driver = self._planned(connection)
        try:
            driver.executemany(plan.text, (plan.said(values) for values in rows))
        except sqlite3.Error as failure:
            raise _as_sqlalchemy(failure, plan) from failure

    def changed(self, connection: Connection, values: Row) -> int:
        """Change what it changes; how many rows that were."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self.statement, dict(values)).rowcount
        return self._asked(connection, values)[1].rowcount

    def added(self, connection: Connection, values: Row) -> int:
        """Insert a row; its number."""
        if connection.dialect.name != "sqlite":
            (number,) = connection.execute(self.statement, dict(values)).inserted_primary_key or (0,)
            return int(number)
        return int(self._asked(connection, values)[1].lastrowid or 0)

    def _asked(self, connection: Connection, values: Row) -> tuple[_Plan, sqlite3.Cursor]:
        plan, driver = self._planned(connection)
        try:
            return plan, driver.execute(plan.text, plan.said(values))
        except sqlite3.Error as failure:
            raise _as_sqlalchemy(failure, plan) from failure

    def _planned(self, connection: Connection) -> tuple[_Plan, sqlite3.Connection]:
        if self._plan is None:
            self._plan = _plan_of(self.statement, self._columns, connection.dialect)
        driver: Any = connection.connection.driver_connection
        return self._plan, driver


def _as_sqlalchemy(failure: sqlite3.Error, plan: _Plan) -> exc.DatabaseError:
    kind = exc.IntegrityError if isinstance(failure, sqlite3.IntegrityError) else exc.DatabaseError
    return kind(plan.text, None, failure)


def _plan_of(statement: Statement, columns: list[str] | None, dialect: Dialect) -> _Plan:
    compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
    asked = {name for name, bind in compiled.binds.items() if bind.required}
    # The values of an IN are spelled out here, one by one: they are the statement's own.
    state = compiled.construct_expanded_state(dict.fromkeys(asked))
    given = tuple(
        (name, _ASKED_FOR if name in asked else state.parameters[name], _said(compiled, name, dialect))
        for name in state.positiontup
    )
    found = statement.selected_columns if isinstance(statement, Select) else ()
    return _Plan(state.statement, given, tuple((str(column.key), _read(column.type, dialect)) for column in found))


def _said(compiled: Any, name: str, dialect: Dialect) -> _Processor:
    # The values of an IN are named for the whole, and are of its type.
    whole = name if name in compiled.binds else name.rpartition("_")[0]
    process: _Processor = compiled.binds[whole].type.dialect_impl(dialect).bind_processor(dialect)
    return process


def _read(kind: Any, dialect: Dialect) -> _Processor:
    process: _Processor = kind.dialect_impl(dialect).result_processor(dialect, None)
    return process
