"""`python -m warmup`, and what the installed `warmup` command calls."""

import sys

from warmup.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
