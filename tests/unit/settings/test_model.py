"""Settings become policies: defaults are inherited, bounds hold on both sides, and a digest names what was said."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from daemon.core.guardrail import Posture
from daemon.guardrails import STANDING
from daemon.guardrails.cooldown import Cooldown
from daemon.guardrails.freshness import Freshness
from daemon.settings import ConfigError, Settings, load_settings
from daemon.settings.document import document
from daemon.settings.model import PolicySettings
from daemon.settings.shape import Wanted

TREE = Path(__file__).parents[3]
ENV = {"LASTGOOD_VERCEL__READ_TOKEN": "vcp_test"}


def loaded(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> Settings:
    file = tmp_path / "lastgood.yaml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, ENV | (env or {}))


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as refusal:
        loaded(tmp_path, text)
    return [problem.key for problem in refusal.value.problems]


def test_by_default_a_project_is_only_observed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "projects: [{name: shop}]")
    assert settings.policy_for(settings.projects[0]).posture is Posture.OBSERVE


def test_a_project_inherits_defaults_and_overrides_them_for_itself_alone(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        """
        defaults: {posture: approve, approval_ttl: 20m, detectors: [{kind: threshold, windows: 5}]}
        projects:
          - {name: shop, posture: automatic}
          - {name: blog, detectors: [{kind: threshold, window: 2m}]}
        """,
    )
    shop, blog = (settings.policy_for(project) for project in settings.projects)
    assert (shop.posture, blog.posture) == (Posture.AUTOMATIC, Posture.APPROVE)
    assert shop.approval_ttl == blog.approval_ttl == timedelta(minutes=20)
    assert [one.windows for one in shop.detectors] == [5]  # type: ignore[attr-defined]
    assert [(one.windows, one.window) for one in blog.detectors] == [(5, timedelta(minutes=2))]  # type: ignore[attr-defined]


def test_a_project_inherits_defaults_then_its_profile_and_then_says_its_own(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        """
        defaults: {posture: approve, approval_ttl: 20m, detectors: [{kind: threshold, windows: 9}]}
        profiles:
          checkout: {posture: automatic, decision_ttl: 2m, detectors: [{kind: threshold, min_errors: 7}]}
        projects:
          - {name: shop, profile: checkout, decision_ttl: 4m}
          - {name: blog}
        """,
    )
    shop, blog = (settings.policy_for(project) for project in settings.projects)
    assert (shop.posture, blog.posture) == (Posture.AUTOMATIC, Posture.APPROVE)
    assert (shop.decision_ttl, shop.approval_ttl) == (timedelta(minutes=4), timedelta(minutes=20))
    # The profile's list stands for the whole list: nothing of the one in defaults is left.
    assert [(one.windows, one.min_errors) for one in shop.detectors] == [(5, 7)]  # type: ignore[attr-defined]
    assert [one.windows for one in blog.detectors] == [9]  # type: ignore[attr-defined]


def test_a_profile_is_no_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LASTGOOD_PROFILES__CHECKOUT: is not a setting"):
        loaded(tmp_path, "projects: [{name: shop}]", {"LASTGOOD_PROFILES__CHECKOUT": "x"})


def test_settings_built_from_values_inherit_as_well() -> None:
    settings = Settings(defaults=PolicySettings(posture=Posture.APPROVE), projects=({"name": "shop"},))
    assert settings.projects[0].posture is Posture.APPROVE


def test_settings_built_from_values_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real environment is what must not matter here.
    monkeypatch.setenv("LASTGOOD_POLL__INTERVAL", "nonsense")
    assert Settings(projects=({"name": "shop"},)).poll.interval == timedelta(seconds=15)


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    text = "poll: {interval: 20s}\nprojects: [{name: shop}]"
    env = {"LASTGOOD_POLL__INTERVAL": "25s", "LASTGOOD_WEB__PORT": "0", "LASTGOOD_DEFAULTS__POSTURE": "approve"}
    settings = loaded(tmp_path, text, env)
    assert settings.poll.interval == timedelta(seconds=25)
    assert settings.web.port == 0
    assert settings.projects[0].posture is Posture.APPROVE


def test_a_projects_own_key_wins_over_a_variable_for_defaults(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, "projects: [{name: shop, posture: observe}]", {"LASTGOOD_DEFAULTS__POSTURE": "automatic"}
    )
    assert settings.projects[0].posture is Posture.OBSERVE


def test_other_variables_with_our_prefix_are_not_ours_to_judge(tmp_path: Path) -> None:
    loaded(tmp_path, "projects: [{name: shop}]", {"LASTGOOD_CONFIG": "x", "LASTGOOD_REQUIRE_ALL": "1"})


def test_no_configuration_can_leave_a_guardrail_out(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "projects: [{name: shop, guardrails: [{kind: cooldown, period: 1h}]}]")
    guardrails = settings.policy_for(settings.projects[0]).guardrails
    assert guardrails[: len(STANDING)] == STANDING
    assert guardrails[len(STANDING) :] == (Cooldown(period=timedelta(hours=1)), Freshness())


def test_the_digest_names_what_was_said_and_not_to_whom(tmp_path: Path) -> None:
    text = "projects: [{name: a}, {name: b}, {name: c, posture: approve}, {name: d, guardrails: [{kind: cooldown}]}]"
    settings = loaded(tmp_path, text)
    a, b, c, d = (settings.policy_for(project).digest for project in settings.projects)
    assert a == b == d
    assert a != c
    assert len(a) == 12


BOUNDS = [
    ("poll: {{lease_ttl: {}}}", "34s", "35s"),
    ("poll: {{interval: {}}}\ndefaults: {{detectors: [{{kind: threshold}}]}}", "31s", "30s"),
    ("defaults: {{detectors: [{{kind: threshold, window: {}}}]}}", "29s", "30s"),
    ("poll: {{interval: {}}}\ndefaults: {{sources: [{{kind: observability}}]}}", "41s", "40s"),
    ("vercel: {{request_timeout: {}}}", "23s", "22s"),
    ("defaults: {{action_deadline: {}}}", "180s", "179s"),
    ("defaults: {{decision_ttl: {}}}", "60s", "61s"),
    ("defaults: {{action_deadline: {}}}", "10s", "11s"),
    ("defaults: {{guardrails: [{{kind: freshness, age_max: {}}}]}}", "95s", "96s"),
    ("defaults: {{detectors: [{{kind: threshold, window: {}}}]}}", "205s", "204s"),
    ("defaults: {{sources: [{{kind: request_logs, lag: {}}}]}}", "165s", "164s"),
    ("defaults: {{detectors: [{{kind: threshold, breaches_min: {}, windows: 3}}]}}", "4", "3"),
    ("web: {{port: {}}}", "65536", "65535"),
    ("web: {{port: {}}}", "-1", "0"),
    ("defaults: {{detectors: [{{kind: threshold, max_error_rate: {}}}]}}", "0", "0.001"),
    ("defaults: {{detectors: [{{kind: threshold, max_error_rate: {}}}]}}", "1", "0.999"),
]


@pytest.mark.parametrize(("template", "refused", "allowed"), BOUNDS)
def test_each_law_and_bound_holds_on_both_sides(tmp_path: Path, template: str, refused: str, allowed: str) -> None:
    loaded(tmp_path, template.format(allowed) + "\nprojects: [{name: shop}]")
    assert len(problems(tmp_path, template.format(refused) + "\nprojects: [{name: shop}]")) == 1


def test_a_law_is_checked_for_what_a_project_gets_in_the_end(tmp_path: Path) -> None:
    text = "defaults: {decision_ttl: 50s}\nprojects: [{name: a, action_deadline: 40s}, {name: b}]"
    assert problems(tmp_path, text) == ["defaults.decision_ttl"]
    loaded(tmp_path, "defaults: {decision_ttl: 50s}\nprojects: [{name: a, action_deadline: 40s}]")


def test_a_mistake_in_defaults_is_told_once_for_however_many_projects(tmp_path: Path) -> None:
    text = "defaults: {approval_ttl: 1s}\nprojects: [{name: a}, {name: b}, {name: c, approval_ttl: 2s}]"
    assert problems(tmp_path, text) == ["defaults.approval_ttl", "projects[2].approval_ttl"]


def test_unusable_projects_do_not_hide_other_mistakes(tmp_path: Path) -> None:
    assert problems(tmp_path, "projects: nonsense\npoll: {lease_ttl: 30s}") == ["projects", "poll.lease_ttl"]


def test_no_error_of_a_model_repeats_a_value() -> None:
    with pytest.raises(ValidationError) as error:
        Settings(vercel={"api_url": "vcp_secret"}, projects=({"name": "shop"},))
    assert "vcp_secret" not in str(error.value)


def leaves(model: type[BaseModel], way: str = "") -> dict[str, object]:
    """Return every setting's description and bounds by its way."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        found[f"{way}{name}"] = field
        wanted = Wanted.by(field)
        inner = Wanted.of(wanted.item).kinds.values() if wanted.item else ()
        for one in (wanted.type, wanted.item, *inner):
            if isinstance(one, type) and issubclass(one, BaseModel):
                found |= leaves(one, f"{way}{name}.")
    return found


def test_every_setting_has_one_sentence_of_description() -> None:
    silent = [
        way
        for way, field in leaves(Settings).items()
        if not way.endswith(".kind") and not (field.description or "").endswith(".")  # type: ignore[attr-defined]
    ]
    assert not silent


def test_every_number_and_duration_has_bounds() -> None:
    unbounded = [
        way
        for way, field in leaves(Settings).items()
        if Wanted.by(field).type in (int, float, timedelta) and len(field.metadata) < 2  # type: ignore[arg-type, attr-defined]
    ]
    assert not unbounded


def test_the_documentation_is_what_the_models_say() -> None:
    written = (TREE / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == document(), "run: python -m daemon.settings.document > docs/configuration.md"
