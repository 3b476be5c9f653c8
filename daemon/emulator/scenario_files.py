"""Scenarios and fleets as YAML: the built-in ones and the reader's own, with parameters filled in."""

import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.emulator.fleet import team_specs
from daemon.emulator.fleet_specs import FleetSpec
from daemon.emulator.scenario import Scenario
from daemon.emulator.strict import problems
from daemon.emulator.yaml_files import Document, ScenarioError, parse, read_text

Parameter = float | int | str
_PLACEHOLDER = re.compile(r"\$[A-Za-z_]\w*")


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
        return parse_scenario(text, source, parameters)
    path = Path(source)
    try:
        text = read_text(path)
    except ScenarioError as error:
        if path.is_file():
            raise
        known = ", ".join(builtin_scenario_names())
        raise ScenarioError(f"{error}; it is no built-in scenario either ({known})") from error
    return parse_scenario(text, str(path), parameters)


def parse_scenario(text: str, origin: str = "scenario", parameters: Mapping[str, Parameter] | None = None) -> Scenario:
    """Return the scenario that the YAML *text* holds; *origin* begins every error message."""
    document = parse(text, origin, empty="a scenario is a mapping with the key `projects`")
    data = _with_parameters(document, parameters or {})
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise document.error(problems(error)) from error


def load_fleet(path: str | Path) -> Scenario:
    """Return the scenario of a generated fleet, which the YAML file *path* describes; raises ScenarioError."""
    return parse_fleet(read_text(Path(path)), str(path))


def parse_fleet(text: str, origin: str = "fleet") -> Scenario:
    """Return the scenario of the fleet that the YAML *text* describes; *origin* begins every error message."""
    document = parse(text, origin, empty="a fleet is a mapping, such as `projects: 100`; write {} for the usual one")
    try:
        return fleet_scenario(FleetSpec.model_validate(document.data))
    except ValidationError as error:
        raise document.error(problems(error)) from error


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


def _with_parameters(document: Document, given: Mapping[str, Parameter]) -> dict[Any, Any]:
    """Replace every text ``$name`` by the parameter of that name; one that nobody declared is a ScenarioError."""
    defaults = document.data.get("parameters") or {}
    if not isinstance(defaults, dict):
        raise document.error([(("parameters",), "must be a mapping of names to values")])
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise ScenarioError(f"{document.origin}: has no parameter {unknown[0]!r}, only {sorted(defaults)}")
    values = {**defaults, **given}

    def fill(text: str) -> Any:
        if not _PLACEHOLDER.fullmatch(text):
            return text
        if text[1:] not in values:
            raise ValueError(f"there is no parameter {text[1:]!r}, only {sorted(map(str, values))}")
        return values[text[1:]]

    filled = document.filled_in(fill, leaving="parameters")
    return {**filled, "parameters": values} if "parameters" in filled else filled


__all__ = [
    "Parameter",
    "ScenarioError",
    "builtin_scenario_names",
    "fleet_scenario",
    "load_fleet",
    "load_scenario",
    "parse_fleet",
    "parse_scenario",
]
