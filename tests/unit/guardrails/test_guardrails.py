"""The set of guardrails: some stand always, the rest have defaults that silence cannot turn off."""

from datetime import timedelta

from daemon.core.guardrail import Strictness
from daemon.guardrails import STANDING, complete
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
from tests.unit.guardrails.cases import a_case


def test_no_configuration_leaves_out_what_always_stands() -> None:
    standing: set[type] = {
        PostureGuardrail,
        PauseGuardrail,
        SignalGuardrail,
        OncePerSuspectGuardrail,
        AliasJobGuardrail,
        RollingReleaseGuardrail,
        StoodDownGuardrail,
        PlatformGuardrail,
        TargetOnRecordGuardrail,
    }
    assert {type(one) for one in STANDING} == standing
    assert {type(one) for one in complete(())} == {*standing, Cooldown, Freshness}


def test_what_is_configured_replaces_its_default_and_no_other() -> None:
    short = Cooldown(period=timedelta(minutes=1))
    found = complete((short,))
    assert [one for one in found if isinstance(one, Cooldown)] == [short]
    assert [one for one in found if isinstance(one, Freshness)] == [Freshness()]


def test_an_unobjectionable_case_passes_all_of_them() -> None:
    assert {one.rule(a_case()).strictness for one in complete(())} == {Strictness.ALLOW}
