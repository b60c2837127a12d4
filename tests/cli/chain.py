"""Many verbs called one after the other in one process: the program without the second it takes to start.

Run as `python -m tests.cli.chain`, it reads a call a line as JSON and answers with its exit code and what it printed.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Chain:
    """The process, as its caller sees it."""

    process: subprocess.Popen[str]

    def call(self, *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Exit code and all that the verb printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"arguments": arguments, "stdin": stdin, "environ": dict(environ or {})}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        return told["code"], told["said"]


@contextlib.contextmanager
def chained(environ: Mapping[str, str]) -> Iterator[Chain]:
    """One chain, until the end."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.cli.chain"]
    process = subprocess.Popen(
        command, cwd=root, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Chain(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _answer(asked: Mapping[str, Any], usual: Mapping[str, str]) -> dict[str, Any]:
    from warmup.cli.app import main

    os.environ.clear()
    os.environ.update(usual | asked["environ"])
    sys.stdin = io.StringIO(asked["stdin"])
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        code = main(asked["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
        said.seek(0)
        return {"code": code, "said": said.read().decode("utf-8", "backslashreplace")}


def _serve() -> None:
    answers, questions, usual = os.fdopen(os.dup(1), "w"), sys.stdin, dict(os.environ)
    for line in questions:
        answers.write(json.dumps(_answer(json.loads(line), usual)) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
