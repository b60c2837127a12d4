"""A small mail world in one process, for the demo and the tests."""

from warmup.sandbox.accounts import Doors, SandboxAccount, SandboxProvider, cast
from warmup.sandbox.faults import Fault, FaultKind
from warmup.sandbox.receipts import Excess, Receipt, Record
from warmup.sandbox.sandbox import Sandbox

__all__ = [
    "Doors",
    "Excess",
    "Fault",
    "FaultKind",
    "Receipt",
    "Record",
    "Sandbox",
    "SandboxAccount",
    "SandboxProvider",
    "cast",
]
