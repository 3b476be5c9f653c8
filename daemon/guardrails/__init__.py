"""Guardrails, one file each. A new one with settings is its file and one line in the union below."""

from typing import Annotated

from pydantic import Field

from daemon.core.guardrail import Guardrail
from daemon.guardrails.alias_job import AliasJobGuardrail
from daemon.guardrails.cooldown import Cooldown
from daemon.guardrails.freshness import Freshness
from daemon.guardrails.once_per_suspect import OncePerSuspectGuardrail
from daemon.guardrails.pause import PauseGuardrail
from daemon.guardrails.platform import PlatformGuardrail
from daemon.guardrails.posture import PostureGuardrail
from daemon.guardrails.rolling_release import RollingReleaseGuardrail
from daemon.guardrails.signal import SignalGuardrail
from daemon.guardrails.stood_down import StoodDownGuardrail
from daemon.guardrails.target_on_record import TargetOnRecordGuardrail

GuardrailSettings = Annotated[Cooldown | Freshness, Field(discriminator="kind")]
"""What `guardrails:` in the configuration may hold."""

STANDING: tuple[Guardrail, ...] = (
    PostureGuardrail(),
    PauseGuardrail(),
    SignalGuardrail(),
    OncePerSuspectGuardrail(),
    AliasJobGuardrail(),
    RollingReleaseGuardrail(),
    StoodDownGuardrail(),
    PlatformGuardrail(),
    TargetOnRecordGuardrail(),
)
"""The guardrails that no configuration can leave out."""


def complete(configured: tuple[GuardrailSettings, ...]) -> tuple[Guardrail, ...]:
    """Return the standing guardrails, the *configured* ones, and the default of every kind that was not configured."""
    present = {one.kind for one in configured}
    defaults = tuple(one for one in (Cooldown(), Freshness()) if one.kind not in present)
    return (*STANDING, *configured, *defaults)
