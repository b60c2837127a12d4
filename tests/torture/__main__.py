"""`python -m tests.torture [NAME …] [--short] [--on PLACE]`: the scenarios in full, and the table of what they found.

PLACE is where the ledger lies, `postgres`, or `cluster` for a PostgreSQL with the cluster's engine: the scenarios that
can be played there, in short. Exits 1 if a promise was broken. Every scenario gets an empty folder of its own. In full
they mostly wait, and two are played side by side, with the soak alone behind them: the bounds on the seconds of the
others hold beside one more.
"""

import argparse
import sys
from contextlib import ExitStack

from tests.postgres import Server
from tests.torture.outcome import Form, table
from tests.torture.places import OnServer, on_cluster
from tests.torture.playing import names, names_on, play


def main(arguments: list[str]) -> int:
    """Run what was asked for, say each outcome as it comes and all of them at the end."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}")
    parser.add_argument("--short", action="store_true", help="as `make test` does")
    parser.add_argument("--on", choices=("postgres", "cluster"), help="another ledger than a file; in short")
    options = parser.parse_args(arguments)
    there = names_on(options.on) if options.on else names()
    if unknown := sorted(set(options.names) - set(there)):
        sys.stderr.write(f"error: no scenario {', '.join(unknown)}; there are {', '.join(there)}\n")
        return 2
    form = Form.SHORT if options.short or options.on else Form.FULL
    with ExitStack() as stack:
        place = None
        if options.on:
            server = Server.start()
            stack.callback(server.stop)
            place = on_cluster(server) if options.on == "cluster" else OnServer(server)
        outcomes = play(options.names or there, form, place)
    sys.stdout.write(table(outcomes) + "\n")
    return 0 if all(found.held for found in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
