"""Public holidays by country, as the `holidays` library knows them; it is loaded when somebody asks for some.

A calendar is named by ISO 3166: a country, `DE`, or a part of one, `DE-BY`.
"""

from datetime import date
from functools import lru_cache

from warmup.config.mistakes import did_you_mean

NONE = "none"
"""Said of a mailbox: it keeps no holidays, whatever the configuration's window says."""


def calendar_named(text: str) -> str:
    """The name of a calendar there is, as it is kept, "" for none; ValueError says what is right instead."""
    name = text.strip().upper()
    if not name or name == NONE.upper():
        return ""
    country, _, part = name.partition("-")
    known = _supported()
    if country not in known:
        raise ValueError(
            f'there are no holidays of "{text}"{did_you_mean(country, known)}; write for example DE or DE-BY'
        )
    if part and part not in known[country]:
        parts = ", ".join(sorted(known[country])) or "none"
        raise ValueError(f'{country} has no part "{part}" with holidays of its own; it has {parts}')
    return name


@lru_cache(maxsize=1024)
def holidays_of(calendar: str, first: int, last: int) -> frozenset[date]:
    """The calendar's public holidays of the years `first` to `last`; none of the calendar ""."""
    if not calendar:
        return frozenset()
    from holidays import country_holidays

    country, _, part = calendar.partition("-")
    return frozenset(country_holidays(country, subdiv=part or None, years=range(first, last + 1)))


@lru_cache(maxsize=1)
def _supported() -> dict[str, frozenset[str]]:
    from holidays import list_supported_countries

    return {country: frozenset(parts) for country, parts in list_supported_countries().items()}
