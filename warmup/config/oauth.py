"""The operator's own registrations with Google and Microsoft, and where those are reached.

The endpoints and scopes are the public clouds'; a sovereign cloud, or a server of one's own, is other values of the
same keys. A client secret is only ever named by its file.
"""

from pathlib import Path

from pydantic import Field, field_validator

from warmup.config.kinds import Port, Scopes, WebAddress
from warmup.config.mistakes import ConfigError
from warmup.config.section import Section
from warmup.policy.authority import Authority, AuthorityName

_LONGEST = 4096
# Where an operator registers a program of their own.
_CONSOLES = {
    AuthorityName.GOOGLE: 'make one of type "Desktop app" at https://console.cloud.google.com/auth/clients',
    AuthorityName.MICROSOFT: (
        'register an app with "Allow public client flows" at https://entra.microsoft.com (App registrations)'
    ),
}


class _Registration(Section):
    client_id: str = Field(default="", description="your own client id; without one nobody can sign in this way")
    client_secret_file: Path | None = Field(default=None, description="a file with the client secret, where it has one")

    @field_validator("client_id")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if any(not char.isprintable() or char.isspace() for char in value):
            raise ValueError("a client id is one word, as the authority's console shows it")
        return value

    @field_validator("client_secret_file", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return value or None


class GoogleSettings(_Registration):
    """Your client at Google, of type "Desktop app" (it has a secret, and Google demands it)."""

    authorization_endpoint: WebAddress = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth", description="where the browser is sent"
    )
    token_endpoint: WebAddress = Field(
        default="https://oauth2.googleapis.com/token", description="a token is bound to this host"
    )
    scopes: Scopes = Field(default=("https://mail.google.com/",), description="SMTP and IMAP")
    redirect_port: Port = Field(default=0, description="port on 127.0.0.1 the browser comes back to; 0: a free one")


class MicrosoftSettings(_Registration):
    """Your app at Microsoft Entra, with public client flows allowed (it needs no secret)."""

    device_authorization_endpoint: WebAddress = Field(
        default="https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
        description="for one tenant: its id for common",
    )
    token_endpoint: WebAddress = Field(
        default="https://login.microsoftonline.com/common/oauth2/v2.0/token",
        description="likewise; a token is bound to this host",
    )
    scopes: Scopes = Field(
        default=(
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
            "offline_access",
        ),
        description="IMAP, SMTP, and a token that lasts",
    )


class OAuthSettings(Section):
    """Signing in with OAuth 2.0: `mailbox add --oauth`, `oauth login`."""

    google: GoogleSettings = GoogleSettings()
    microsoft: MicrosoftSettings = MicrosoftSettings()


def authority_of(settings: OAuthSettings, name: AuthorityName) -> Authority:
    """The authority of that name as the configuration knows it; ConfigError where no client is registered with it."""
    google, microsoft = settings.google, settings.microsoft
    mine: _Registration = google if name is AuthorityName.GOOGLE else microsoft
    if not mine.client_id:
        raise ConfigError((f"oauth.{name}.client_id is not set; {_CONSOLES[name]}",))
    by_browser = name is AuthorityName.GOOGLE
    return Authority(
        name=name,
        client_id=mine.client_id,
        client_secret=_secret(mine.client_secret_file, f"oauth.{name}.client_secret_file"),
        sign_in_endpoint=google.authorization_endpoint if by_browser else microsoft.device_authorization_endpoint,
        token_endpoint=google.token_endpoint if by_browser else microsoft.token_endpoint,
        scopes=google.scopes if by_browser else microsoft.scopes,
    )


def _secret(path: Path | None, key: str) -> str:
    if path is None:
        return ""
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(_LONGEST).strip()
    except OSError as failure:
        raise ConfigError((f"{key}: {path} cannot be read: {failure.strerror}",)) from failure
    except UnicodeDecodeError:
        raise ConfigError((f"{key}: {path} is no text",)) from None
    if not secret or any(not char.isprintable() or char.isspace() for char in secret):
        raise ConfigError((f"{key}: {path} does not hold one client secret; put it there alone",))
    return secret
