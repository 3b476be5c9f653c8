"""How a demo ended."""

from dataclasses import dataclass
from pathlib import Path

from daemon.core.incident import Incident, State, Trigger


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a demo, judged by the emulator's own record beside the daemon's.

    `incident` is None when none was opened. `production` is the deployment that the emulator serves at the end.
    `metrics` are the series that moved, with their growth.
    """

    folder: Path
    scenario: str
    clock_factor: float
    real_seconds: float
    incident: Incident | None
    production: str
    rollbacks_sent: int
    metrics: dict[str, float]

    @property
    def is_good(self) -> bool:
        """Whether production stands on the target and the recovery was verified: nothing less is a success."""
        incident = self.incident
        if incident is None or incident.target is None or incident.state is not State.RESOLVED:
            return False
        return incident.trail[-1].trigger is Trigger.RECOVERED and self.production == incident.target.id

    def as_json(self) -> dict[str, object]:
        """Return the outcome for machines."""
        incident = self.incident
        return {
            "ok": self.is_good,
            "scenario": self.scenario,
            "clock_factor": self.clock_factor,
            "real_seconds": round(self.real_seconds, 1),
            "incident": incident.id if incident else None,
            "state": incident.state if incident else None,
            "suspect": incident.suspect.id if incident else None,
            "target": incident.target.id if incident and incident.target else None,
            "production": self.production,
            "rollbacks_sent": self.rollbacks_sent,
            "timeline": [
                {"at": one.moment.at.isoformat(), "state": one.target, "sentence": one.sentence}
                for one in (incident.trail if incident else ())
            ],
            "metrics": self.metrics,
            "folder": str(self.folder),
        }
