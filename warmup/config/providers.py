"""Which providers there are: the shipped presets (providers.toml), with the operator's [providers.*] laid over them."""

import tomllib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from warmup.config.kinds import endpoint
from warmup.config.settings import ProviderSettings, Settings
from warmup.policy.mailbox import Security
from warmup.policy.provider import Provider, Providers

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_SHIPPED = Path(__file__).parent.parent / "providers.toml"


def providers_of(settings: Settings) -> Providers:
    """Our presets and the operator's; of an operator's provider with a preset's name, what is not said stays ours.

    A domain the operator gives to one provider is taken from every other.
    """
    merged = {name: _merged(shipped, settings.providers.get(name)) for name, shipped in _presets().items()}
    own = {name: values for name, values in settings.providers.items() if name not in merged}
    claimed = {domain for values in settings.providers.values() for domain in values.domains}
    every = own | {
        name: values.model_copy(update={"domains": tuple(d for d in values.domains if d not in claimed)})
        if name not in settings.providers
        else values
        for name, values in merged.items()
    }
    return Providers(by_name={name: _provider(name, values) for name, values in every.items()}, registrable=registrable)


def registrable(domain: str) -> str:
    """The part of `domain` that somebody registered (public suffix and one label); itself where it has none."""
    return str(_suffixes().privatesuffix(domain) or domain)


@lru_cache(maxsize=1)
def _presets() -> dict[str, ProviderSettings]:
    tables = tomllib.loads(_SHIPPED.read_text(encoding="utf-8"))
    return {name: ProviderSettings(**table) for name, table in tables.items()}


@lru_cache(maxsize=1)
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _merged(shipped: ProviderSettings, own: ProviderSettings | None) -> ProviderSettings:
    if own is None:
        return shipped
    return shipped.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


def _provider(name: str, values: ProviderSettings) -> Provider:
    return Provider(
        name=name,
        title=values.title or name,
        receiver=values.receiver or name,
        smtp=tuple(endpoint(text) for text in values.smtp),
        imap=replace(endpoint(values.imap), security=Security.TLS) if values.imap else None,
        domains=frozenset(values.domains),
        mx=values.mx,
        daily_limit=values.daily_limit,
        account_limits=dict(values.account_limits),
        per_minute=values.per_minute,
        pace=values.pace,
        is_wall=values.is_wall,
        wants_local_part=values.wants_local_part,
        sign_in=values.sign_in,
        app_password_letters=values.app_password_letters,
        app_password_help=values.app_password_help,
        junk_folder=values.junk_folder,
        sent_folder=values.sent_folder,
        trash_folder=values.trash_folder,
        files_sent=values.files_sent,
    )
