"""`warmup healthcheck`: does the daemon of this ledger live, and is it ready? For systemd, containers and scripts.

It asks where the daemon wrote that it listens (`<ledger>.http`), directly: no proxy stands between, no redirect is
followed. 0 ready, 1 it answers that it is not, 69 nobody answers. Real time; the ledger itself is not opened.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import typer

from warmup.cli.faults import Exit, Fault
from warmup.cli.invocation import invocation
from warmup.cli.output import Json, print_json
from warmup.cli.token import token_of
from warmup.config import Settings

app = typer.Typer(add_completion=False)

_OK = 200
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What was answered. `address` None: no daemon says where it listens; `reason` None: all is well."""

    address: str | None
    answered: bool = False
    live: bool = False
    ready: bool = False
    reason: str | None = None


@app.command()
def healthcheck(
    ctx: typer.Context,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds to wait for an answer.")] = 5.0,
    json: Json = False,
) -> None:
    """Ask the daemon whether it lives and is ready: exits 0, or 1 where it is not, or 69 where nobody answers."""
    health = check(invocation(ctx).load().settings, timeout=timeout)
    if json:
        print_json(
            "healthcheck",
            {"address": health.address, "live": health.live, "ready": health.ready, "reason": health.reason},
        )
    fault = fault_of(health)
    if fault is not None:
        raise fault
    if not json:
        typer.echo(f"ready at {health.address}")


def fault_of(health: Health) -> Fault | None:
    """How the verb ends where all is not well."""
    if health.ready:
        return None
    if health.address is None:
        return Fault(f"no daemon serves this ledger: {health.reason}", "start `warmup run`", code=Exit.UNREACHABLE)
    if not health.answered:
        what = f"the daemon does not answer at {health.address}: {health.reason}"
        return Fault(what, "look at its log, or start `warmup run`", code=Exit.UNREACHABLE)
    what = f"the daemon at {health.address} is not {'ready' if health.live else 'well'}: {health.reason}"
    return Fault(what, "wait, or look at its log", code=Exit.FOUND_WRONG)


def check(settings: Settings, *, timeout: float) -> Health:
    """The health of the daemon that serves these settings' ledger; each of two questions waits `timeout` seconds."""
    address = _address(settings)
    if address is None:
        return Health(address=None, reason=f"{settings.http_file} names no address")
    headers = _authorization(settings)
    try:
        live, said = _get(address, "/livez", headers, timeout)
        if live != _OK:
            return Health(address=address, answered=True, reason=f"/livez says {live} {said}".rstrip())
        ready, said = _get(address, "/readyz", headers, timeout)
    except (OSError, http.client.HTTPException) as failure:
        return Health(address=address, reason=str(failure) or type(failure).__name__)
    reason = None if ready == _OK else said or f"/readyz says {ready}"
    return Health(address=address, answered=True, live=True, ready=ready == _OK, reason=reason)


def _address(settings: Settings) -> str | None:
    """Where the daemon wrote that it listens; None where it did not, or has not yet."""
    try:
        text = settings.http_file.read_text(encoding="utf-8").strip()
        parts = urlsplit(text)
        return text if parts.scheme == "http" and parts.hostname and parts.port else None
    except (FileNotFoundError, ValueError):
        return None


def _get(address: str, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, str]:
    """Status and first line of an answer. Raises OSError, HTTPException."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        said = answer.read(_LONGEST_REASON).decode("utf-8", "replace")
        return answer.status, "".join(letter for letter in said.partition("\n")[0] if letter.isprintable())
    finally:
        connection.close()


def _authorization(settings: Settings) -> dict[str, str]:
    token = token_of(settings.http.token_file)
    return {} if token is None else {"Authorization": f"Bearer {token}"}
