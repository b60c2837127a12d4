"""IMAP folders: their names on the wire, and which of them is the inbox, the junk, the sent and the trash.

A name is Unicode everywhere in the program and modified UTF-7 (RFC 3501 5.1.3) on the wire. A role is believed in this
order: what the server says (RFC 6154 special-use), then what the folder is called, in the languages of FOLDER_NAMES.
"""

import binascii
import re
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import groupby

from warmup.mail.folder_names import FOLDER_NAMES

# What stands above the folders of an account and says nothing about them.
_ROOTS = frozenset({"INBOX", "[GMAIL]", "[GOOGLE MAIL]"})
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


@unique
class Special(StrEnum):
    """What a folder is for. The values are ours; `attribute` is RFC 6154's."""

    INBOX = "inbox"
    JUNK = "junk"
    SENT = "sent"
    TRASH = "trash"
    DRAFTS = "drafts"
    ARCHIVE = "archive"
    ALL = "all"

    @property
    def attribute(self) -> str:
        r"""The LIST attribute in lower case, such as "\junk"."""
        return "\\" + self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One line of LIST: Unicode `name`, `flags` in lower case, hierarchy `delimiter` or None where names are flat."""

    name: str
    flags: frozenset[str] = frozenset()
    special_use: Special | None = None
    delimiter: str | None = None

    @property
    def selectable(self) -> bool:
        r"""False for a mere node of the tree (\Noselect, \NonExistent)."""
        return not self.flags & {"\\noselect", "\\nonexistent"}

    @property
    def leaf(self) -> str:
        """The last part of the name: Spam of [Gmail]/Spam."""
        return self.name.rsplit(self.delimiter, 1)[-1] if self.delimiter else self.name


def special_use(flags: Iterable[str]) -> Special | None:
    """The role LIST attributes (any case) give a folder, if they give one."""
    have = {flag.lower() for flag in flags}
    if "\\spam" in have:
        # Gmail's old XLIST word, still repeated by servers that copied it.
        return Special.JUNK
    return next((role for role in Special if role.attribute in have), None)


def choose(folders: Iterable[Folder], role: Special) -> Folder | None:
    """The folder that has `role`: by special-use, else by name, the shallowest first; None where none looks like it."""
    candidates = [folder for folder in folders if folder.selectable]
    if role is Special.INBOX:
        return next((folder for folder in candidates if folder.name.upper() == "INBOX"), None)
    said = [folder for folder in candidates if folder.special_use is role]
    named = [folder for folder in candidates if folder.special_use is None and role_by_name(folder) is role]
    return min(said or named, key=lambda folder: _rank(folder, role), default=None)


def role_by_name(folder: Folder) -> Special | None:
    """The role the folder's own name suggests, whatever tree it stands in."""
    if folder.name.upper() == "INBOX":
        return Special.INBOX
    return _ROLES.get(folded(folder.leaf)) or _ROLES.get(folded(re.split(r"[./\\]", folder.name)[-1]))


def folded(name: str) -> str:
    """A name for comparing: case, accents, width, punctuation and spaces out."""
    bare = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in bare if char.isalnum() or unicodedata.category(char) == "Mc")


def encode_name(name: str) -> str:
    """`name` in modified UTF-7. Printable ASCII stays, "&" becomes "&-", the rest goes in shifted runs."""
    return "".join(
        "".join(run).replace("&", "&-") if plain else _shifted("".join(run))
        for plain, run in groupby(name, key=lambda char: " " <= char <= "~")
    )


def decode_name(wire: str) -> str:
    """`wire` in Unicode. A server that breaks the rules gets its broken part back as it is; nothing is raised."""
    return _SHIFTED.sub(lambda found: _unshifted(found[1], as_is=found[0]), wire)


def quoted(text: str) -> str:
    """`text` as an IMAP quoted string; raises ValueError for what no quoted string can hold (NUL, CR, LF)."""
    if any(char in text for char in "\0\r\n"):
        raise ValueError("NUL, CR and LF cannot stand in an IMAP string")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def name_on_wire(name: str) -> str:
    """The folder's name as an argument of a command: INBOX as it is, the rest encoded and quoted."""
    return quoted("INBOX" if name.upper() == "INBOX" else encode_name(name))


def _shifted(run: str) -> str:
    packed = b64encode(run.encode("utf-16-be", "surrogatepass")).decode("ascii")
    return "&" + packed.rstrip("=").replace("/", ",") + "-"


def _unshifted(packed: str, *, as_is: str) -> str:
    if not packed:
        return "&"
    try:
        raw = b64decode(packed.replace(",", "/") + "=" * (-len(packed) % 4), validate=True)
        text = raw.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return as_is
    # Another spelling of the same name would not lead back to the folder.
    return text if _shifted(text) == as_is and not any(" " <= char <= "~" for char in text) else as_is


def _rank(folder: Folder, role: Special) -> tuple[int, int, str]:
    """Shallow before deep, then by how usual the name is: Archive/2019/Spam is somebody's history."""
    parts = folder.name.split(folder.delimiter) if folder.delimiter else [folder.name]
    depth = len(parts) - (2 if parts[0].upper() in _ROOTS and len(parts) > 1 else 1)
    known = [folded(name) for name in FOLDER_NAMES[role.value]]
    leaf = folded(folder.leaf)
    return (depth, known.index(leaf) if leaf in known else len(known), folder.name)


_ROLES = {folded(name): Special(role) for role, names in FOLDER_NAMES.items() for name in names}
