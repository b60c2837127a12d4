"""How instants, dates and references are kept in columns.

Instants are whole microseconds since 1970 in UTC, so that SQL compares and subtracts them rightly; dates are civil,
in the mailbox's own zone, as ISO text.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, ForeignKey, Integer, TypeDecorator
from sqlmodel import Field

# A field may be called `date`; then its type cannot be.
Date = date

# SQLite numbers rows by itself only where the type is spelled INTEGER; there it has 64 bits too.
Identity = BigInteger().with_variant(Integer(), "sqlite")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in, the same in UTC out; kept as microseconds since 1970. A naive one raises ValueError."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs its zone, got {value!r}")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + value * _MICROSECOND


def identity() -> Any:
    """The row's own number."""
    return Field(default=None, sa_type=Identity, primary_key=True)


def reference(target: str, *, key: bool = False) -> Any:
    """The number of a row elsewhere, `table.column`; `key` where it is (part of) this row's own key."""
    return Field(sa_type=Identity, sa_column_args=[ForeignKey(target)], primary_key=key)


def optional_reference(target: str) -> Any:
    """The same, or null."""
    return Field(default=None, sa_type=Identity, sa_column_args=[ForeignKey(target)], nullable=True)


def instant() -> Any:
    """An instant."""
    return Field(sa_type=UtcDateTime)


def optional_instant() -> Any:
    """An instant, or null."""
    return Field(default=None, sa_type=UtcDateTime, nullable=True)
