"""`warmup metrics`: one Prometheus exposition of what the ledger knows, for a textfile collector.

The counts are the same as on the daemon's `/metrics`; what only a process knows (durations, ticks) is not among them.
"""

import asyncio
from typing import Any

import typer
from prometheus_client.parser import text_string_to_metric_families

from warmup.cli.glance import glance
from warmup.cli.invocation import Invocation, invocation
from warmup.cli.output import Json, print_json
from warmup.metrics import exposition
from warmup.steps.fleet import figures

app = typer.Typer(add_completion=False)


@app.command()
def metrics(ctx: typer.Context, json: Json = False) -> None:
    """Print one exposition (Prometheus text format 0.0.4); --json gives the same samples as a document."""
    text = asyncio.run(_exposed(invocation(ctx)))
    if json:
        print_json("metrics", {"metrics": _families(text)})
    else:
        typer.echo(text, nl=False)


async def _exposed(here: Invocation) -> str:
    async with glance(here) as seen:
        return exposition(await figures(seen.circle())).decode()


def _families(text: str) -> list[dict[str, Any]]:
    return [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": sample.name, "labels": dict(sample.labels), "value": sample.value} for sample in family.samples
            ],
        }
        for family in text_string_to_metric_families(text)
    ]
