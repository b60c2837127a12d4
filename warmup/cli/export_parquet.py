"""Exports as Parquet, where pyarrow is installed; it is no dependency of ours, since few need it and it is large.

Types come from the export's schema: instants are microseconds in UTC, dates are dates, lists are lists of words.
"""

from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from importlib import import_module
from typing import IO, Any

_GROUP = 20_000
"""Rows of a row group: what is held in memory at once."""


async def write_parquet(file: IO[bytes], columns: dict[str, Any], rows: AsyncIterator[dict[str, Any]]) -> None:
    """Write `rows` with the `columns` (name to JSON Schema) to `file`, group after group."""
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    schema = arrow.schema([(name, _type(column, arrow)) for name, column in columns.items()])
    parsers = {name: parse for name, column in columns.items() if (parse := _parser(column)) is not None}
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        async for row in rows:
            group.append(_parsed(row, parsers))
            if len(group) == _GROUP:
                writer.write_table(arrow.Table.from_pylist(group, schema=schema))
                group.clear()
        writer.write_table(arrow.Table.from_pylist(group, schema=schema))


def _type(column: dict[str, Any], arrow: Any) -> Any:
    words = column.get("type", "string")
    kind = words if isinstance(words, str) else words[0]
    match kind, column.get("format"):
        case "string", "date-time":
            return arrow.timestamp("us", tz="UTC")
        case "string", "date":
            return arrow.date32()
        case "integer", _:
            return arrow.int64()
        case "number", _:
            return arrow.float64()
        case "boolean", _:
            return arrow.bool_()
        case "array", _:
            return arrow.list_(arrow.string())
        case _:
            return arrow.string()


def _parser(column: dict[str, Any]) -> Callable[[str], object] | None:
    match column.get("format"):
        case "date-time":
            return datetime.fromisoformat
        case "date":
            return date.fromisoformat
        case _:
            return None


def _parsed(row: dict[str, Any], parsers: dict[str, Callable[[str], object]]) -> dict[str, Any]:
    return {
        name: parsers[name](value) if name in parsers and value is not None else value for name, value in row.items()
    }
