"""Secrets that are hard to keep, and whether any of them is to be seen in what a program left behind.

Looked for: as it is, escaped (repr, JSON, IMAP and shell quotes, HTML), URL-encoded, and base64 wherever it may stand
in a longer base64 text. Nothing of the program is imported: what hides secrets there is not what finds them here.
"""

import html
import json
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

CANARIES: tuple[str, ...] = (
    "plain-Canary-01",
    'quote"Canary"02',
    "apo'strophe'Canary'03",
    "back\\slash\\Canary\\04",
    'both\\"Canary"\\05',
    "pässwörd-Käfig-06",
    "пароль-канарейка-07",
    "密码金丝雀零八号",
    "emoji-🐤-Canary-09",
    "two words Canary 10",
    " lead and trail 11 ",
    "percent%20%41%n%s-12",
    "{brace}${HOME}`id`-13",
    "a+b/c==d&e?f#Canary14",
    "<script>Canary</script>15",
    "tab\tCanary\t16",
    "control\x01\x7fCanary17",
    "ya29.a0AfB_byCanary-18_" + "Zx9-_" * 40,
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + "Q2FuYXJ5MTk" * 120 + ".sig-19",
    "Gh7" * 700 + "Canary20",
    "abcdefghijklmnop",
    "A1 LOGIN x y {10}22",
    "* BYE Canary [ALERT] 23",
    "café\u00a0nbsp\u200bCanary24",
)


def traces(secret: str) -> frozenset[bytes]:
    """Every spelling of `secret` that gives it away."""
    return frozenset(trace for spelled in _spelled(secret) if len(trace := spelled.encode()) >= 4)


def found(secrets: Iterable[str], places: dict[str, bytes]) -> list[tuple[str, str, str]]:
    """(secret, place, spelling) for each trace of a secret in a place, lower and upper case alike."""
    folded = {name: content.lower() for name, content in places.items()}
    return [
        (secret, name, trace.decode("utf-8", "replace"))
        for secret in secrets
        for trace in traces(secret)
        for name, content in folded.items()
        if trace.lower() in content
    ]


def _spelled(secret: str) -> Iterator[str]:
    yield from (secret, repr(secret)[1:-1], ascii(secret)[1:-1], html.escape(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], shlex.quote(secret))
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    for before in (b"", b"u", b"us"):
        raw = before + secret.encode()
        # Whole sextets of the secret alone: the letters at its edges tell of its neighbours as well.
        inside = b64encode(raw).decode()[(len(before) * 8 + 5) // 6 : len(raw) * 8 // 6]
        yield from (inside, inside.replace("+", "-").replace("/", "_"))
