"""Claims every slot of a ledger from several threads, each with its own ledger; prints what it got. Run by tests."""

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

from warmup.ledger import Ledger
from warmup.ledger.attempts import Claimed
from warmup.ledger.situation import Rules
from warmup.policy.mailbox import SlotId

THREADS = 4
RULES = Rules(grace=timedelta(days=1), margin=timedelta(minutes=5), own_reserve_ratio=0.0, paced=False)


async def claims(url: str, beside: Path, node: str, slots: list[int], now: datetime) -> list[int]:
    """The slots that were claimed, asked for eight at a time."""
    ledger = Ledger.open(url, beside=beside)
    gate = asyncio.Semaphore(8)

    async def claim(slot: int) -> int | None:
        async with gate:
            answer = await ledger.attempts.claim(SlotId(slot), now=now, rules=RULES, node=node)
        return slot if isinstance(answer, Claimed) else None

    try:
        got = await asyncio.gather(*(claim(slot) for slot in slots))
    finally:
        await ledger.close()
    return [slot for slot in got if slot is not None]


def claims_of_a_thread(url: str, beside: Path, node: str, slots: list[int], now: datetime) -> list[int]:
    """The same, on a loop of its own."""
    return asyncio.run(claims(url, beside, node, slots, now))


def main() -> None:
    """Arguments: ledger URL, the path its mark lies at, node, instant, slots as a JSON list."""
    url, beside, node, now = sys.argv[1], Path(sys.argv[2]), sys.argv[3], datetime.fromisoformat(sys.argv[4])
    slots = json.loads(sys.argv[5])
    with ThreadPoolExecutor(THREADS) as threads:
        runs = [threads.submit(claims_of_a_thread, url, beside, f"{node}.{n}", slots, now) for n in range(THREADS)]
        print(json.dumps([slot for run in runs for slot in run.result()]))


if __name__ == "__main__":
    main()
