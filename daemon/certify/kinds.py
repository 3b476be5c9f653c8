"""Every kind of story that is simulated, with the words for people. A new kind is its function and one line here."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from daemon.certify import bad, healthy, histories, outages, stories
from daemon.certify.scene import Scene
from daemon.certify.trace import Label, Trace

Draw = Callable[[random.Random, Scene], Trace]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of story: its name, what is true of it, and what happens, in words that fit after "cannot see".

    `size` is the error ratio, 0..1, where all of its stories have the same; None otherwise.
    """

    name: str
    label: Label
    words: str
    draw: Draw
    size: float | None = None


def _jump(size: float) -> Kind:
    name = f"jump-{round(size * 100)}"
    return Kind(name, Label.BAD, f"a jump to {size:.0%}", partial(bad.jump, size=size, kind=name), size)


HEALTHY = (
    Kind("steady", Label.HEALTHY, "a steady error ratio", healthy.steady),
    Kind("overdispersed", Label.HEALTHY, "errors that cluster", healthy.overdispersed),
    Kind("cold-start", Label.HEALTHY, "a cold start of 30 to 90 s", healthy.cold_start),
    Kind("flapping", Label.HEALTHY, "bots that make it fail for a minute", healthy.flapping),
    Kind("high-background", Label.HEALTHY, "1.5 to 5 % errors every day", healthy.high_background),
    Kind("low-traffic", Label.HEALTHY, "1 to 5 requests a minute", healthy.low_traffic),
    Kind("late-and-gaps", Label.HEALTHY, "late counts and missed polls", healthy.late_and_gaps),
    Kind("traffic-bursts", Label.HEALTHY, "traffic bursts", healthy.traffic_bursts),
)
BAD = (
    *(_jump(size) for size in (0.03, 0.05, 0.10, 0.30, 1.00)),
    Kind("partial-route", Label.BAD, "a broken route with 5 to 40 % of the traffic", bad.partial_route),
    Kind("ramp", Label.BAD, "errors that grow for 5 to 20 min", bad.ramp),
    Kind("delayed", Label.BAD, "errors that begin 1 to 10 min after the release", bad.delayed),
    Kind("low-traffic-bad", Label.BAD, "a broken release that 1 to 5 visitors a minute see", bad.low_traffic),
    Kind("high-background-bad", Label.BAD, "15 to 40 % more errors over 1.5 to 5 %", bad.high_background),
    Kind("late-and-gaps-bad", Label.BAD, "a broken release read late and with gaps", bad.late_and_gaps),
)
OUTAGES = (
    Kind("mid-life", Label.OUTAGE, "an outage long after the release", outages.mid_life),
    Kind("already-running", Label.OUTAGE, "an outage that was running at the release", outages.running),
)
STORIES = (
    Kind("train-same-fault", Label.BAD, "two releases in a row with one fault", stories.train_same_fault),
    Kind("healthy-then-bad", Label.BAD, "a bad release soon after a healthy one", stories.healthy_then_bad),
    Kind("bad-fix", Label.BAD, "a fix that fixes nothing", stories.bad_fix),
    Kind("rollback-does-not-help", Label.BAD, "damage that outlasts the rollback", stories.no_help),
    Kind("unvisited", Label.BAD, "a broken release that nobody sees for 20 to 40 min", stories.unvisited),
    Kind("dirty-feed-bad", Label.BAD, "a broken release in a dirty feed", stories.dirty_feed_bad),
    Kind("healed-by-next", Label.HEALTHY, "a fault that the next release heals", stories.healed_by_next),
    Kind("healthy-train", Label.HEALTHY, "five healthy releases in a row", stories.healthy_train),
    Kind("cold-train", Label.HEALTHY, "five healthy releases in a row, each with a cold start", stories.cold_train),
    Kind("good-fix", Label.HEALTHY, "a fix that is well", stories.good_fix),
    Kind("dirty-feed-healthy", Label.HEALTHY, "a healthy release in a dirty feed", stories.dirty_feed_healthy),
    Kind("just-before-seen-late", Label.OUTAGE, "an outage just before the release, seen late", outages.seen_late),
)
HISTORIES = (
    Kind("history-healthy", Label.HEALTHY, "no cold start, as ever", histories.warm_healthy),
    Kind("history-jump-10", Label.BAD, "a jump to 10 % where releases never start cold", histories.warm_jump_10, 0.10),
    Kind("cold-history-healthy", Label.HEALTHY, "a cold start as long as ever", histories.cold_healthy),
    Kind("cold-history-jump-10", Label.BAD, "a jump to 10 % and the usual cold start", histories.cold_jump_10, 0.10),
)
BY_NAME = {kind.name: kind for kind in (*HEALTHY, *BAD, *OUTAGES, *STORIES, *HISTORIES)}


def draw(kind: Kind, scene: Scene, *, seed: int, number: int) -> Trace:
    """Return the story with the *number*: the same for the same seed, whoever draws it and in whatever order."""
    return kind.draw(random.Random(f"{seed}:{kind.name}:{number}"), scene)
