"""Whose message a report is about: what the header of the returned message says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from warmup.mail.header import parse_header_block
from warmup.mail.parts import Part

_ENCLOSED: Final = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)
_MARKS: Final = ("\nreceived: ", "\nreturn-path: ", "\nmessage-id: ", "\nx-google-smtp-source: ", "\ndkim-signature: ")
_MOST_TEXT: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The returned message, as far as the report shows it."""

    message_ids: tuple[str, ...] = ()
    identity: str | None = None
    from_address: str | None = None
    is_enclosed: bool = False  # as a part of its own


def returned(leaves: Sequence[Part], *, identity_header: str | None) -> Returned:
    """The message that a report with these parts returns: an enclosed one, else the header its text shows."""
    for leaf in leaves:
        if leaf.content_type in _ENCLOSED:
            return replace(_read(leaf.decoded(), identity_header), is_enclosed=True)
    for leaf in leaves:
        block = _shown(leaf.text()) if leaf.content_type.startswith("text/") else ""
        if block and (found := _read(block.encode("utf-8", "replace"), identity_header)).message_ids:
            return found
    return Returned()


def _read(block: bytes, identity_header: str | None) -> Returned:
    header = parse_header_block(block, identity_header=identity_header)
    return Returned(
        message_ids=(header.message_id,) if header.message_id else (),
        identity=header.identity,
        from_address=header.from_address,
    )


def _shown(text: str) -> str:
    """The header block that stands in `text`: from the first line that only a header begins with."""
    lowered = f"\n{text[:_MOST_TEXT]}".lower()
    starts = [place for place in (lowered.find(mark) for mark in _MARKS) if place >= 0]
    return text[min(starts) :] if starts else ""
