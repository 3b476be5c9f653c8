"""Scenarios as YAML: the built-in ones and the reader's own, strictly read, with parameters filled in."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from daemon.emulator.fleet import team_specs
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.scenario import Scenario

Parameter = float | int | str


class ScenarioError(ValueError):
    """A scenario that cannot be used; the message says where and why."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, of which PyYAML would keep the last in silence."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise ScenarioError(f"line {key_node.start_mark.line + 1}: {key!r} is given twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def builtin_scenario_names() -> list[str]:
    """Return the names that ``load_scenario`` knows without a file."""
    folder = resources.files("daemon.emulator") / "scenarios"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_scenario(source: str | Path, parameters: Mapping[str, Parameter] | None = None) -> Scenario:
    """Return the scenario of a YAML file or of a built-in name, with *parameters* in place of its defaults.

    Raises ScenarioError when the file is missing, is no YAML, or says something that a scenario cannot say.
    """
    if isinstance(source, str) and source in builtin_scenario_names():
        text = (resources.files("daemon.emulator") / "scenarios" / f"{source}.yaml").read_text(encoding="utf-8")
        return parse_scenario(text, str(source), parameters)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(builtin_scenario_names())
        raise ScenarioError(f"{path}: {error.strerror}; it is no built-in scenario either ({known})") from error
    return parse_scenario(text, str(path), parameters)


def parse_scenario(text: str, origin: str = "scenario", parameters: Mapping[str, Parameter] | None = None) -> Scenario:
    """Return the scenario that the YAML *text* holds; *origin* begins every error message."""
    data = _mapping(text, origin)
    if data is None:
        raise ScenarioError(f"{origin}: a scenario is a mapping with the key `projects`")
    data = _filled_in(data, origin, parameters or {})
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(f"{origin}: {_sentences(error)}") from error


def load_fleet(path: str | Path) -> Scenario:
    """Return the scenario of a generated fleet, which the YAML file *path* describes; raises ScenarioError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from error
    return parse_fleet(text, str(path))


def parse_fleet(text: str, origin: str = "fleet") -> Scenario:
    """Return the scenario of the fleet that the YAML *text* describes; *origin* begins every error message."""
    try:
        spec = FleetSpec.model_validate(_mapping(text, origin) or {})
    except ValidationError as error:
        raise ScenarioError(f"{origin}: {_sentences(error)}") from error
    return fleet_scenario(spec)


def fleet_scenario(spec: FleetSpec) -> Scenario:
    """Return the scenario whose projects are the fleet *spec*."""
    first, *others = team_specs(spec)
    return Scenario(
        name=spec.name,
        description=f"{spec.teams * spec.projects} generated projects",
        seed=spec.seed,
        history=f"{spec.traffic_history_ms}ms",
        rows_kept=2_000,
        team=first,
        teams=tuple(others),
        fleet=spec,
    )


def _mapping(text: str, origin: str) -> dict[Any, Any] | None:
    """Return the YAML mapping in *text*; None when it is something else."""
    try:
        data = yaml.load(text, _UniqueKeyLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        raise ScenarioError(f"{origin}: not valid YAML: {error}") from error
    except ScenarioError as error:
        raise ScenarioError(f"{origin}: {error}") from error
    return data if isinstance(data, dict) else None


def _filled_in(data: dict[Any, Any], origin: str, given: Mapping[str, Parameter]) -> dict[Any, Any]:
    """Replace every string ``$name`` by the parameter of that name."""
    defaults = data.get("parameters") or {}
    if not isinstance(defaults, dict):
        raise ScenarioError(f"{origin}: parameters: must be a mapping of names to values")
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise ScenarioError(f"{origin}: has no parameter {unknown[0]!r}, only {sorted(defaults)}")
    values = {**defaults, **given}

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, str) and value.startswith("$") and value[1:] in values:
            return values[value[1:]]
        return value

    return {key: values if key == "parameters" else fill(value) for key, value in data.items()}


def _sentences(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'scenario'}: {detail['msg']}" for detail in error.errors()
    )
