"""Scenes and detectors for tests of the certifier."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.certify.scene import Scene
from daemon.certify.traffic import Traffic
from daemon.core.detector import Finding, Memory, Verdict
from daemon.core.facts import Activation, ErrorRateSample
from daemon.core.guardrail import Posture
from daemon.core.policy import Policy
from daemon.detectors.threshold import Threshold
from daemon.guardrails import complete

BUSY = Traffic(50.0)


def a_scene(poll_seconds: int = 60, lag_polls: int = 0, traffic: Traffic = BUSY) -> Scene:
    """Return a scene of 50 requests a second, polled every minute, without lag."""
    return Scene(poll_seconds, lag_polls, traffic)


def a_policy(*detectors: object) -> Policy:
    """Return a policy of *detectors*, by default the threshold rule as it comes; in posture observe."""
    return Policy(Posture.OBSERVE, detectors or (Threshold(),), complete(()))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Stubborn:
    """A control that finds the same whatever it counts; a breach began with the release that serves.

    Of what served first it finds nothing wrong, or the fault would be followed back to it.
    """

    verdict: Verdict
    name: str = "stubborn"
    rule: str = "always the same"
    needs_requests: bool = False
    follows_production: bool = False
    dry_run: bool = False
    is_advisory: bool = False
    wants_routes: bool = False
    wants_kinds: bool = False

    def learn(self, memory: Memory, _samples: Sequence[ErrorRateSample]) -> Memory:
        """Return *memory* as it is."""
        return memory

    def begin(self) -> Memory:
        """Return that there is nothing to remember."""
        return ()

    def update(
        self, memory: Memory, sample: ErrorRateSample, activations: Sequence[Activation]
    ) -> tuple[Memory, Finding]:
        """Return what it always says."""
        served = next(one for one in reversed(activations) if one.deployment.id == sample.deployment)
        if self.verdict is not Verdict.BREACHING or served is activations[0]:
            return memory, Finding(self.name, Verdict.HEALTHY, "all is well", sample.requests, sample.errors, 0.02)
        return memory, Finding(
            detector=self.name,
            verdict=self.verdict,
            sentence="it is bad",
            requests=sample.requests,
            errors=sample.errors,
            limit=0.02,
            onset_at=served.at,
            onset_before=sample.end,
        )


ALWAYS = Stubborn(Verdict.BREACHING)
NEVER = Stubborn(Verdict.HEALTHY)
