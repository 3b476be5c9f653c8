"""Scenarios and fleets that are wrong: which line, which key, and what would be right."""

from pathlib import Path

import pytest

from daemon.emulator import ScenarioError, load_scenario
from daemon.emulator.scenario_files import load_fleet, parse_fleet, parse_scenario

GOOD = """\
name: mine
projects:
  - name: web
    domains: [www.example.com]
    deployments:
      - {name: v1, age: 9d}
      - {name: good, age: 20h}
"""
NEXT = GOOD.count("\n") + 1


def complaint_about(text: str) -> str:
    with pytest.raises(ScenarioError) as error:
        parse_scenario(text, "mine.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("knobz: 1", "knobz: there is no key 'knobz' here, only name, description"),
        ("knobs: {colour: red}", "knobs.colour: there is no key 'colour' here, only rollback_to_current"),
        ("knobs: {rollback_to_current: 500}", "knobs.rollback_to_current: Input should be 409 or 422, not 500"),
        ("history: 90", "history: 90 is not a duration: write a number with a unit, such as 250ms, 90s"),
        ("jobs: {pending: 5s}", "jobs.duration: jobs.duration (1500 ms) is shorter than jobs.pending (5000 ms)"),
        ("name: twice", "not valid YAML: 'name' is given twice"),
        ("? [a, b]", "not valid YAML: a key must be a word or a number"),
        ("\tseed: 1", "not valid YAML: found character '\\t' that cannot start any token"),
        ("---", "not valid YAML: but found another document"),
        ("seed: $sed", "seed: there is no parameter 'sed', only []"),
        ("parameters: [5]", "parameters: must be a mapping of names to values"),
        ("teams: [{slug: acme}]", "teams.0.slug: two teams have the same slug 'acme'"),
        ("    team: shop", "projects.0.team: 'web': there is no team 'shop', only ['acme']"),
        ("    production: v9", "projects.0.production: project 'web': production 'v9' is none of ['v1', 'good']"),
        ("  - name: web", "projects.1.name: the project name web is given twice"),
        (
            "  - {name: b, domains: [www.example.com]}",
            "projects.1.domains.0: the domain www.example.com is given twice",
        ),
        ("    env: [{key: A, age: 1d, updated: 2d}]", "projects.0.env.0.updated: A cannot have been written before"),
        (
            "    traffic: {requests_per_second: .nan}",
            "projects.0.traffic.requests_per_second: Input should be a finite",
        ),
        (
            "    traffic: {failures: [{ratio: 1, route: /x}]}",
            "projects.0.traffic.failures.0.route: project 'web' has no",
        ),
        (
            "    traffic: {routes: [{path: /, statuses: {200: 0}}]}",
            "projects.0.traffic.routes.0.statuses: at least one",
        ),
        ("    traffic: {routes: [{path: /, statuses: {99: 1}}]}", "projects.0.traffic.routes.0.statuses.99"),
        ("tokens: [{value: a, name: x, projects: [wep]}]", "tokens.0.projects.0: the token 'x': there is no project"),
        (
            "tokens: [{value: a, name: x}, {value: a, name: y}]",
            "tokens.1.value: the token 'y' has the value of another",
        ),
    ],
)
def test_a_mistake_is_told_with_its_file_its_line_its_key_and_what_would_be_right(line: str, complaint: str) -> None:
    assert complaint_about(f"{GOOD}{line}\n").startswith(f"mine.yaml:{NEXT}: {complaint}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rollback: {project: wep, deployment: v1}", ".rollback.project: happening rollback: there is no project"),
        ("promote: {project: web, deployment: v9}", ".promote.deployment: happening promote: no deployment 'v9' by"),
        ("failures: {project: web, deployment: v9}", ".failures.deployment: happening failures: no deployment 'v9'"),
        ("deploy: {project: web, name: v1}", ".deploy.name: happening deploy: project 'web' has a deployment 'v1'"),
        ("outage: {project: web, ratio: 1, route: /x}", ".outage.route: project 'web' has no route '/x', only ['/', "),
        ("fault: {kind: html, project: wep}", ".fault.project: happening fault: there is no project 'wep', only"),
        ("fault: {kind: status}", ".fault.status.status: this key is needed"),
        ("fault: {kind: none}", ".fault: Input tag 'none' found using 'kind' does not match any of the expected tags"),
        ("fault: {kind: job, route: project}", ".fault.job.route: this kind of fault does nothing there, only on *, "),
        ("clear_fault: a, end_outage: {project: web}", ": a happening needs exactly one of deploy, promote, rollback"),
    ],
)
def test_a_happening_that_could_never_happen_is_told_with_its_line(text: str, complaint: str) -> None:
    said = complaint_about(f"{GOOD}happenings:\n  - {{at: 1m, {text}}}\n")
    assert said.startswith(f"mine.yaml:{NEXT + 1}: happenings.0{complaint}")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name: web", "name: no", "3: projects.0.name: Input should be a valid string, not False"),
        ("age: 9d", "age: 9", "6: projects.0.deployments.0.age: 9 is not a duration"),
        ("{name: v1, age: 9d}", "{name: v1}", "6: projects.0.deployments.0.age: this key is needed"),
        ("name: good", "name: v1", "7: projects.0.deployments.1.name: two deployments of project 'web' have the same"),
    ],
)
def test_the_line_is_that_of_the_key_however_deep_it_stands(old: str, new: str, complaint: str) -> None:
    assert complaint_about(GOOD.replace(old, new, 1)).startswith(f"mine.yaml:{complaint}")


@pytest.mark.parametrize("facts", ["target: preview", "ends: ERROR"])
def test_what_cannot_serve_is_not_in_production(facts: str) -> None:
    text = f"{GOOD.replace('age: 9d', f'age: 9d, {facts}')}    production: v1\n"
    complaint = "projects.0.production: deployment 'v1' cannot serve: it must be one for production that ends READY"
    assert complaint_about(text) == f"mine.yaml:{NEXT}: {complaint}"


def test_every_mistake_is_told_on_a_line_of_its_own() -> None:
    lines = complaint_about(f"{GOOD}seed: many\nrows_kept: 5\n").splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"mine.yaml:{NEXT}", f"mine.yaml:{NEXT + 1}"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "web"])
def test_a_file_without_a_mapping_is_told_what_to_write(text: str) -> None:
    assert complaint_about(text) == "mine.yaml: a scenario is a mapping with the key `projects`"
    with pytest.raises(ScenarioError, match=r"fleet\.yaml: a fleet is a mapping, such as `projects: 100`"):
        parse_fleet(text, "fleet.yaml")


def test_a_scenario_without_projects_is_refused() -> None:
    assert complaint_about("projects: []").startswith("mine.yaml:1: projects: a scenario needs at least one project")


def test_what_is_no_text_is_refused_with_the_byte_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: café".encode("latin-1"))
    for load in (load_scenario, load_fleet):
        with pytest.raises(ScenarioError, match=r"latin\.yaml: byte 10 is no UTF-8; save the file as UTF-8 text"):
            load(path)


def test_a_missing_file_is_refused_with_the_names_that_are_built_in() -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: No such file .*bad-deployment"):
        load_scenario("nowhere.yaml")
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: No such file or directory$"):
        load_fleet("nowhere.yaml")


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"no parameter 'sise', only \['deploy_at'"):
        load_scenario("bad-deployment", {"sise": 1})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("projects: 0", "1: projects: Input should be greater than or equal to 1, not 0"),
        ("seed: 1\ncolour: red", "2: colour: there is no key 'colour' here, only name, seed"),
        ("seed: 1\nplans: {pro: 0}", "2: plans: at least one weight must be above 0"),
        ("plans: {pro: .inf}", "1: plans.pro: Input should be a finite number, not inf"),
        ("errors: {upstream-outage: 1}", "1: errors: no deployment causes an upstream-outage; say outages_per_month"),
        ("traffic: {wild: 1}", "1: traffic.wild"),
        ("teams: 1000\nprojects: 1000", "2: projects: 1000 teams x 1000 projects are more than 100,000"),
        ("history: 90", "1: history: 90 is not a duration"),
        ("requests_per_second: 5", "1: requests_per_second: a mapping is needed here, not 5"),
        (GOOD, "2: projects: Input should be a valid integer, not a list"),
    ],
    ids=lambda text: text[:30],
)
def test_a_fleet_that_makes_no_sense_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse_fleet(text, "fleet.yaml")
    assert str(error.value).startswith(f"fleet.yaml:{complaint}")
