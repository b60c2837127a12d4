"""Words made comparable: the same sentence in capitals, with typographic quotes or without its accents is the same."""

import unicodedata
from typing import Final

_PLAIN: Final = {ord(odd): plain for odd, plain in zip("‘’‛`´“”„–—‑", "'''''\"\"\"---", strict=True)}


def folded(text: str) -> str:
    """`text` as patterns want it: lower case, no accents, plain quotes and dashes, single blanks."""
    return " ".join(unaccented(text).translate(_PLAIN).lower().split())


def unaccented(text: str) -> str:
    """`text` with compatible letters made one (NFKC) and accents of Latin, Greek and Cyrillic letters taken away."""
    if text.isascii():
        return text
    return "".join(_bare(char) for char in unicodedata.normalize("NFKC", text))


def _bare(char: str) -> str:
    # Japanese voicing marks and Hangul are letters of their own: only scripts with true accents lose them.
    # Vietnamese and old Greek have theirs far behind the others.
    has_accents = "\u00c0" <= char < "\u0530" or "\u1e00" <= char < "\u2000"
    return unicodedata.normalize("NFKD", char)[0] if has_accents else char
