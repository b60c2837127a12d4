"""`warmup test`: one message to a seed of each receiving provider, and where each of them landed."""

import asyncio
from typing import Annotated, Any

import typer

from warmup.cli.assembly import assembled
from warmup.cli.errand import hindrance, is_well, report
from warmup.cli.faults import Exit, bad_input
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.output import Json, print_json, print_table, progress, warn
from warmup.policy.mailbox import Mailbox
from warmup.steps.circle import Circle
from warmup.steps.errand import Sent, find_tests, seeds_to_ask, send_test

app = typer.Typer(add_completion=False, help="Test where mail lands, at each receiving provider.")


@app.command("test")
def placement_test(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)],
    to: Annotated[str | None, typer.Option("--to", metavar="TAG", help="Only to seeds with this tag.")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, max=3600, help="How long to wait for them.")
    ] = 120.0,
    json: Json = False,
) -> None:
    """Send one message to a seed of each receiving provider, wait, and say where each landed.

    Counted against the limits as every message is, and no evidence for the ramp. Exits 1 unless all are in the inbox.
    """
    tests, everybody = asyncio.run(_tested(invocation(ctx), address, tag=to, patience=timeout))
    if json:
        print_json("test", {"address": tests[0]["sender"], "tests": [_without_sender(one) for one in tests]})
    else:
        _print(tests)
    if not (everybody and all(is_well(one) for one in tests)):
        raise typer.Exit(Exit.FOUND_WRONG)


async def _tested(
    here: Invocation, address: str, *, tag: str | None, patience: float
) -> tuple[list[dict[str, Any]], bool]:
    """The reports, by provider; whether every provider was asked.

    Raises Fault where nothing could be sent, UnknownMailbox, WireError.
    """
    async with assembled(here.load().settings, here.environ) as circle:
        mailbox = await circle.ledger.mailboxes.get(address)
        recipients = await seeds_to_ask(mailbox, circle, tag=tag)
        if not recipients:
            whose = f" with the tag {tag}" if tag is not None else ""
            raise bad_input(
                f"{mailbox.address} has no seed{whose} to write to", "warmup mailbox add ADDRESS --role seed"
            )
        sent = await _send_all(mailbox, recipients, circle)
        progress(f"waiting for them, at most {patience:g} s")
        looked = await find_tests([each for each in sent if each.may_arrive], circle, patience=patience)
        told = [{"sender": mailbox.address, **report(each, looked.get(each.slot_id))} for each in sent]
        return told, len(sent) == len(recipients)


async def _send_all(mailbox: Mailbox, recipients: tuple[Mailbox, ...], circle: Circle) -> list[Sent]:
    """One test to each, one after the other. What stands in the way of the first is raised, of a later one told."""
    sent: list[Sent] = []
    for recipient in recipients:
        progress(f"sending one message to {recipient.address}")
        answer = await send_test(mailbox, recipient, circle)
        if isinstance(answer, Sent):
            sent.append(answer)
        elif not sent:
            raise hindrance(answer, mailbox, recipient)
        else:
            warn(f"{recipient.address} gets none: {hindrance(answer, mailbox, recipient)}")
            break
    return sent


def _without_sender(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "sender"}


def _print(tests: list[dict[str, Any]]) -> None:
    columns = ("provider", "seed", "outcome", "landed", "folder", "seconds", "remark")
    rows = [
        (
            one["provider"],
            one["recipient"],
            one["outcome"],
            one["placement"] or ("missing yet" if one["waited_seconds"] is not None else "-"),
            one["folder"],
            one["waited_seconds"],
            one["advice"] or one["problem"],
        )
        for one in tests
    ]
    print_table(columns, rows, numbers=("seconds",))
