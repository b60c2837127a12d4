"""The sandbox as a process of its own, for tests that kill the daemon beside it.

    python -m warmup.sandbox --folder DIR --seed S --speed X --start INSTANT [--anchor INSTANT] …

Once its doors are open it writes sandbox.json into DIR and then "ready" to stdout; every message taken is a line in
received.jsonl before its reply leaves; on SIGUSR1 its servers go down for a second, on SIGUSR2 the chaos begins; on
SIGTERM it writes record.json and ends with 0. Its time is `start` + (wall − anchor) · speed, so a daemon with the same
figures agrees with it.

With --commands it hears on stdin `stop POINT` (hold the next connection that comes there, and say `held POINT ACCOUNT`
on stdout), `go` (let it go on) and `fault KIND:ADDRESS[:TIMES]`, each answered by `heard`.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from warmup.clock import WallClock
from warmup.sandbox.accounts import SandboxProvider, cast
from warmup.sandbox.faults import Fault, FaultKind
from warmup.sandbox.sandbox import Sandbox
from warmup.sandbox.stops import Stop, Stops
from warmup.world import World, WorldError, WorldUnknown, built_in, read_world

RESTART_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    options = _parser().parse_args(arguments)
    anchor = options.anchor or WallClock().wall()
    clock = WallClock(seed=options.seed, speed=options.speed, anchor=(anchor, options.start))
    names = [receiver.name for receiver in options.world.receivers]
    first, second, third = (names * 3)[:3]
    receivers = (first, second, third)
    providers = cast(options.seed, receivers=receivers, accounts_each=options.accounts, more=options.companies)
    options.folder.mkdir(parents=True, exist_ok=True)
    stops = Stops(lambda stop, account: _say(f"held {stop.value} {account}".rstrip())) if options.commands else None
    sandbox = Sandbox(
        options.world,
        seed=options.seed,
        clock=clock,
        providers=providers,
        start=options.start,
        folder=options.folder,
        journal=options.folder / "received.jsonl",
        faults=options.fault,
        stops=stops,
        pump=True,
    )
    times = {"start": _spelled(options.start), "anchor": _spelled(anchor), "speed": options.speed}
    asyncio.run(_serve(sandbox, stops, options.folder, times, chaos=options.chaos))
    return 0


async def _serve(
    sandbox: Sandbox, stops: Stops | None, folder: Path, times: Mapping[str, Any], *, chaos: float
) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    restarts: set[asyncio.Task[None]] = set()

    def restart() -> None:
        if not restarts:
            restarts.add(task := asyncio.ensure_future(sandbox.restart(RESTART_SECONDS)))
            task.add_done_callback(restarts.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, restart)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, sandbox.leave_to_chance, chaos)
    async with sandbox:
        accounts = [account for provider in sandbox.providers for account in _accounts(sandbox, provider)]
        ca_file = str(sandbox.ca_file.absolute())
        _write(folder / "sandbox.json", {**times, "pid": os.getpid(), "ca_file": ca_file, "accounts": accounts})
        _say("ready")
        async with _listening(sandbox, stops) if stops else nullcontext():
            await told.wait()
        await asyncio.gather(*restarts)
    _write(folder / "record.json", {"receipts": [receipt.as_json() for receipt in sandbox.record.receipts]})


@asynccontextmanager
async def _listening(sandbox: Sandbox, stops: Stops) -> AsyncIterator[None]:
    """Do what is said on stdin, line by line, for as long as it is open."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    task = asyncio.create_task(_heed(reader, sandbox, stops))
    try:
        yield
    finally:
        task.cancel()
        transport.close()


async def _heed(reader: asyncio.StreamReader, sandbox: Sandbox, stops: Stops) -> None:
    async for line in reader:
        match line.decode().split():
            case ["stop", point]:
                stops.set(Stop(point))
            case ["go"]:
                stops.go()
            case ["fault", fault]:
                sandbox.inject(_fault(fault))
            case _:
                raise ValueError(f"not understood: {line!r}")
        _say("heard")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _accounts(sandbox: Sandbox, provider: SandboxProvider) -> list[dict[str, Any]]:
    about = {"provider": provider.name, "domain": provider.domain, "enforced_limit": provider.enforced_limit}
    return [
        {
            **about,
            **asdict(account),
            **asdict(sandbox.doors(account.address)),
            "ca_file": str(sandbox.ca_file.absolute()),
        }
        for account in provider.accounts
    ]


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Write whole or not at all: who waits for the file reads it as soon as it is there."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m warmup.sandbox", description="A small mail world on loopback.")
    parser.add_argument("--folder", type=Path, required=True, help="where its files go")
    parser.add_argument("--seed", default="sandbox", help="the same seed gives the same world")
    parser.add_argument("--speed", type=float, default=1.0, help="sandbox seconds for each real second")
    parser.add_argument("--start", type=_instant, required=True, help="the first instant, ISO 8601 with a zone")
    parser.add_argument("--anchor", type=_instant, help="the wall instant at which time was --start (now)")
    parser.add_argument("--world", type=_world, default="gentle", help="a world's name, or a TOML file")
    parser.add_argument("--accounts", type=int, default=3, help="accounts at each provider")
    parser.add_argument("--companies", type=int, default=0, help="providers besides the three, each of a domain")
    parser.add_argument("--commands", action="store_true", help="hear commands on stdin")
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND:ADDRESS[:TIMES]",
        help=f"spoil messages from ADDRESS; KIND is one of {', '.join(kind.value for kind in FaultKind)}",
    )
    parser.add_argument(
        "--chaos",
        type=float,
        default=0.0,
        help="the share of messages and IMAP commands that meet a fault by chance, once it begins",
    )
    return parser


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no zone; write it with Z")
    return instant.astimezone(UTC)


def _world(text: str) -> World:
    try:
        if "/" in text or text.endswith(".toml"):
            return read_world(tomllib.loads(Path(text).read_text("utf-8")))
        return built_in(text)
    except (WorldError, WorldUnknown, OSError, tomllib.TOMLDecodeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _fault(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    address, _, times = rest.partition(":")
    try:
        return Fault(kind=FaultKind(kind), account=address.lower(), times=int(times or 1))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _spelled(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
