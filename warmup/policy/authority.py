"""Who vouches for an account that signs in with OAuth 2.0: the authorisation server, and how we are known to it.

We ship no client id: each operator registers their own with the authority and says it in the configuration. What an
account then grants is a *refresh token*; a short-lived *access token* is what mail servers are shown.
"""

from dataclasses import dataclass, field
from enum import StrEnum, unique
from urllib.parse import urlsplit


@unique
class AuthorityName(StrEnum):
    """The authorities we can talk to, each in the one way it wants mail programs to."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"

    @property
    def company(self) -> str:
        """Its name for people."""
        return self.value.capitalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """An authorisation server (RFC 6749) and our registration with it.

    `sign_in_endpoint` is where signing in begins: Google's authorization endpoint (a browser goes there), Microsoft's
    device authorization endpoint (we do). `client_secret` empty: a public client, which has none.
    """

    name: AuthorityName
    client_id: str
    client_secret: str = field(default="", repr=False)
    sign_in_endpoint: str
    token_endpoint: str
    scopes: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host that refresh tokens are said to, in lower case."""
        return urlsplit(self.token_endpoint).hostname or ""
