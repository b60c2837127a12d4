"""The receiver model: a test bench for ramps that knows nothing of the rest (MODEL.md).

    world = built_in("gentle")                      # or read_world(tomllib.loads(text)); raises WorldError
    state = WorldState(world, seed=7, mailboxes=("a@x.test", "b@x.test"))
    verdict = state.deliver("a@x.test", "seed-1", "gentle", now=615.0)

Instants are minutes since 00:00 of day 1, or aware datetimes where the state was given its `start`. What a controller
may see of a verdict is its kind, and for `Placed` the folder after `visible_after` minutes; everything else is truth
for measures alone.
"""

from warmup.world.library import WORLD_NAMES, WorldUnknown, built_in
from warmup.world.state import WorldState
from warmup.world.verdict import Deferred, Folder, Placed, Refused, Verdict
from warmup.world.world import Event, Receiver, World, WorldError, read_world

__all__ = [
    "WORLD_NAMES",
    "Deferred",
    "Event",
    "Folder",
    "Placed",
    "Receiver",
    "Refused",
    "Verdict",
    "World",
    "WorldError",
    "WorldState",
    "WorldUnknown",
    "built_in",
    "read_world",
]
