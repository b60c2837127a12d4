"""From a unit of work to the step that does it."""

from typing import assert_never

from warmup.engine.work import Work
from warmup.steps.circle import Circle
from warmup.steps.judge import judge
from warmup.steps.observe import observe
from warmup.steps.plan import plan_due
from warmup.steps.prune import prune
from warmup.steps.retire import retire
from warmup.steps.send import send
from warmup.steps.step import Step


async def perform(work: Work, circle: Circle) -> None:
    """Do one unit. What it raises is a surprise, for the engine to log; what servers answer is not."""
    match work.step:
        case Step.JUDGE:
            await judge(work.mailbox, circle)
        case Step.RETIRE:
            await retire(circle)
        case Step.PLAN:
            await plan_due(circle)
        case Step.SEND:
            await send(work.mailbox, circle)
        case Step.OBSERVE:
            await observe(work.mailbox, circle)
        case Step.PRUNE:
            await prune(circle)
        case _:
            assert_never(work.step)
