"""How much work something costs at the least: for bounds that hold on a busy machine too."""

import time
from collections.abc import Callable

TRIES = 3


def least_seconds(work: Callable[[], object]) -> float:
    """CPU-seconds of this thread alone, the least of three runs: a collection or a neighbour disturbs one of them."""
    took = []
    for _ in range(TRIES):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return min(took)
