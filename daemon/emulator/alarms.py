"""The moment at which an anomaly of errors is noticed, for the webhooks that asked to hear of it."""

from collections import deque

from daemon.emulator.anomalies import MINUTES_TO_BEGIN, Anomaly, find_anomalies
from daemon.emulator.counts import MINUTES_KEPT
from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.events import WorldEvent
from daemon.emulator.model import Project
from daemon.emulator.webhooks import Webhooks
from daemon.emulator.world import World

KIND = "alerts.triggered"
TOLD_KEPT = 10_000


class Alarms:
    """Looks at the counts once a minute, of the projects that some webhook wants alerts of; tells each anomaly once."""

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        """Begin with nothing told."""
        self._world = world
        self._webhooks = webhooks
        self._minute = -1
        self._told: deque[str] = deque(maxlen=TOLD_KEPT)

    def ring(self) -> None:
        """Publish the anomalies that have begun since the subscription and were not told yet."""
        minute = self._world.now_ms // MINUTE_MS
        if minute == self._minute:
            return
        self._minute = minute
        for project, since_ms in self._webhooks.subscribed_since(KIND).items():
            facts = self._world.projects[project]
            for anomaly in visible_anomalies(self._world, facts, lag_ms=self._world.metrics_lag_ms):
                noticed_ms = anomaly.started_at_ms + MINUTES_TO_BEGIN * MINUTE_MS
                if noticed_ms > since_ms and anomaly.id not in self._told:
                    self._told.append(anomaly.id)
                    group = _group(facts, anomaly)
                    self._world.events.publish(WorldEvent(KIND, self._world.now_ms, facts, None, {"group": group}))


def visible_anomalies(world: World, project: Project, *, lag_ms: int) -> list[Anomaly]:
    """Return the anomalies of *project* in all counts that are kept and older than *lag_ms*, oldest first."""
    visible_ms = world.now_ms - lag_ms
    cells = world.traffic_of(project).counts.per_minute(
        from_ms=world.now_ms - MINUTES_KEPT * MINUTE_MS,
        # A minute is judged only once it is over and wholly visible: half of one has few errors of few requests.
        to_ms=visible_ms - visible_ms % MINUTE_MS,
        visible_to_ms=visible_ms,
    )
    return find_anomalies(project.id, cells)


def _group(project: Project, anomaly: Anomaly) -> dict[str, object]:
    """Return what an alert says of itself; the whole of it is read from ``GET /alerts/v3/groups/{id}``."""
    return {
        "id": anomaly.id,
        "type": "error_anomaly",
        "status": "active" if anomaly.resolved_at_ms is None else "resolved",
        "title": f"5xx errors on {project.name}",
        "recordedStartedAt": anomaly.started_at_ms,
        "projectId": project.id,
    }
