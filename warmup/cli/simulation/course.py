"""Day after day, one controller and one domain: plan, send, look, judge, and write down what became of it.

A day: the plan is made by what is known at 06:00; messages go evenly from 08:00 to 18:00; what has become known is
looked at every three hours in between and once more at 20:00, as a daemon does all the time. The same for every
controller, so that they differ by what they decide and by nothing else.
"""

from heapq import heapify, heappop, heappush
from typing import Final, Protocol

from warmup.cli.simulation.post import Learnt, Post
from warmup.cli.simulation.setting import MINUTES, Setting
from warmup.cli.simulation.tally import Course, Tally, graver
from warmup.policy.standing import Standing

OPENS: Final = 480.0
CLOSES: Final = 1080.0
MORNING: Final = 360.0
LOOKS: Final = (600.0, 780.0, 960.0, 1200.0)
NOON: Final = 780.0


class Controller(Protocol):
    """Decides how many messages each lane of one domain sends on a day, lanes mailbox by mailbox."""

    def plan(self, day: int) -> list[int]:
        """How many messages on each lane on `day`, from 1."""
        ...

    def learn(self, news: Learnt) -> None:
        """Something became known."""
        ...

    def look(self, minutes: float) -> None:
        """Think over what was learnt, at `minutes`."""
        ...

    def room(self, lane: int, sent: int) -> int:
        """How many of the day's messages may still go on that lane, of which `sent` were accepted."""
        ...

    def standing(self, lane: int) -> Standing | None:
        """How the lane stands, for a controller that knows standings."""
        ...

    def close(self, day: int, tallies: list[Tally]) -> None:
        """The day is over."""
        ...


def course_of(setting: Setting, boxes: range, controller: Controller) -> Course:
    """All days of one domain's mailboxes `boxes` under `controller`."""
    post = Post(setting, boxes)
    course = Course(boxes=boxes)
    for day in range(1, setting.days + 1):
        course.days.append(_day(day, post, controller))
    return course


def _day(day: int, post: Post, controller: Controller) -> list[Tally]:
    midnight = (day - 1) * MINUTES
    _look(post, controller, midnight + MORNING)
    targets = controller.plan(day)
    tallies = [Tally(target=target, standing=controller.standing(lane)) for lane, target in enumerate(targets)]
    due = [
        (midnight + OPENS + (CLOSES - OPENS) * (number + 0.5) / target, lane, 1, 0.0)
        for lane, target in enumerate(targets)
        for number in range(target)
    ]
    heapify(due)
    for look in LOOKS:
        rooms = [controller.room(lane, tally.sent) for lane, tally in enumerate(tallies)]
        _send(due, midnight + look, rooms, post, tallies)
        _look(post, controller, midnight + look)
        for lane, tally in enumerate(tallies):
            tally.standing = graver(tally.standing, controller.standing(lane))
    for lane, tally in enumerate(tallies):
        if tally.true_spam is None:
            tally.true_spam = post.true_spam(lane, midnight + LOOKS[-1])
    controller.close(day, tallies)
    return tallies


def _send(
    due: list[tuple[float, int, int, float]], until: float, rooms: list[int], post: Post, tallies: list[Tally]
) -> None:
    """Hand over what is due before `until`; what was deferred goes back into `due`."""
    while due and due[0][0] <= until:
        at, lane, ordinal, first = heappop(due)
        if rooms[lane] <= 0:
            continue
        first = first or at
        again = post.send(lane, at, first, ordinal, tallies[lane])
        if again is None:
            rooms[lane] -= 1
        else:
            heappush(due, (again, lane, ordinal + 1, first))


def _look(post: Post, controller: Controller, now: float) -> None:
    unseen = post.unseen
    while unseen and unseen[0].known_at <= now:
        controller.learn(heappop(unseen))
    controller.look(now)
