"""Which messages are our own: the signed id that every warmup message carries.

A token is base32 of a 10-byte nonce and an 80-bit MAC over it and both addresses (DESIGN, Identity). It has no prefix,
so a receiver has nothing to match on, and whoever lacks the key makes none: a guess is right once in 2**80. A token
that was copied into other mail is not believed, because sender and recipient are under the MAC.
"""

import base64
import hashlib
import hmac
import re
from typing import Final

NONCE_BYTES: Final = 10
_MAC_BYTES: Final = 10
_KEY_BYTES: Final = 16
_PURPOSE: Final = b"warmup identity 1"
# 20 bytes are exactly 32 base32 digits: no padding, and one spelling for each token.
_TOKEN: Final = re.compile(r"<?([a-z2-7]{32})(?:@[^<>@]*)?>?", re.IGNORECASE | re.ASCII)
# RFC 5322 2.1.1: no line of a header is longer; what is longer is not ours.
_LONGEST: Final = 998


def token(key: bytes, nonce: bytes, *, sender: str, recipient: str) -> str:
    """The 32-character token of `nonce` between two addresses; ValueError for a short key or a wrong nonce."""
    if len(key) < _KEY_BYTES:
        raise ValueError(f"an identity key has at least {_KEY_BYTES} bytes, got {len(key)}")
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes, got {len(nonce)}")
    return base64.b32encode(nonce + _mac(key, nonce, sender, recipient)).decode("ascii").lower()


def message_id(token: str, domain: str) -> str:
    """The Message-ID of `token` at the sender's own domain, with its angle brackets (RFC 5322 3.6.4)."""
    return f"<{token}@{domain.lower()}>"


def read(text: str) -> str | None:
    """The token in a Message-ID or a header value, or None; case, white space and angle brackets do not matter.

    What is read is not yet believed.
    """
    if len(text) > _LONGEST:
        return None
    found = _TOKEN.fullmatch("".join(text.split()))
    return found[1].lower() if found else None


def believed(key: bytes, token: str, *, sender: str, recipient: str) -> bytes | None:
    """The nonce of `token` if we made it for these two addresses, else None; in constant time, and never raises."""
    if read(token) != token:
        return None
    raw = base64.b32decode(token.upper())
    nonce, mac = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
    return nonce if hmac.compare_digest(mac, _mac(key, nonce, sender, recipient)) else None


def _mac(key: bytes, nonce: bytes, sender: str, recipient: str) -> bytes:
    # Lengths go before the addresses, so that no two pairs spell the same bytes.
    parts = [_PURPOSE, nonce, *(address.strip().lower().encode("utf-8", "replace") for address in (sender, recipient))]
    spelled = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(key, spelled, hashlib.sha256)[:_MAC_BYTES]
