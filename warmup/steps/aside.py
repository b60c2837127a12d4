"""Where long thoughts are thought: one thread beside the event loop, so that nobody's mail waits for a judgement.

What goes there is pure: it is given values and gives values. One thread is enough, and more would only take turns; a
step whose decision is a matter of microseconds decides on the spot.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")


async def aside(decide: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `decide` gives, while the loop goes on; whatever it raises. Cancelled, its answer is dropped."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREAD, lambda: decide(*args, **kwargs))
