"""The labelled samples beside the project, each with the families it shows."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crossval.families import families_of
from warmup.cli.answers import reply_report
from warmup.mail.report import Report, read_report

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A label: None where it is not known."""

    cause: str | None
    hard: bool | None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One sample: how it is read (without some dialects), and what its recipients' labels are."""

    name: str
    kind: str
    families: frozenset[str]
    wanted: tuple[Wanted, ...]
    read: Callable[[frozenset[str]], Report]


def reports(corpus: Path = CORPUS) -> list[Sample]:
    """The samples of bounces.jsonl."""
    found = []
    for label in _lines(corpus / "bounces.jsonl"):
        raw = (corpus / label["file"]).read_bytes()
        found.append(
            Sample(
                name=label["file"],
                kind=label["recipients"][0]["kind"],
                families=families_of(raw.decode("latin-1")),
                wanted=tuple(Wanted(cause=one.get("cause"), hard=one.get("hard")) for one in label["recipients"]),
                read=lambda without, raw=raw: read_report(raw, without=without),  # type: ignore[misc]
            )
        )
    return found


def replies(corpus: Path = CORPUS) -> list[Sample]:
    """The samples of replies.jsonl."""
    return [
        Sample(
            name=f"reply {label['id']}",
            kind="reply",
            families=families_of(label["reply"]),
            wanted=(Wanted(cause=label["cause"], hard=label["hard"]),),
            read=lambda _, said=label["reply"]: reply_report(said),  # type: ignore[misc]
        )
        for label in _lines(corpus / "replies.jsonl")
    ]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
