"""The metrics: known before anything happened, bounded, and readable by Prometheus's own parser."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from daemon.core.event import ReadTarget
from daemon.core.incident import State
from daemon.telemetry.metrics import ENDING_TRIGGERS, Metrics

PROJECTS = ["prj_shop", "prj_blog"]
KNOWN = {
    "lastgood_requests_counted_total": 1,
    "lastgood_errors_counted_total": 1,
    "lastgood_unacknowledged_incidents": 1,
    "lastgood_paused": 1,
    "lastgood_frozen": 1,
    "lastgood_cycles_total": 2,
    "lastgood_reads_failed_total": len(ReadTarget),
    "lastgood_incident_state": len(State),
    "lastgood_incidents_total": len(ENDING_TRIGGERS),
    "lastgood_actions_total": 7,
}


def some_metrics() -> Metrics:
    return Metrics(CollectorRegistry(), version="1.2.3")


def series(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series as a scrape would show it."""
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(("name", "count"), KNOWN.items())
def test_known_series_are_nought_before_anything_happened(name: str, count: int) -> None:
    metrics = some_metrics()
    metrics.initialise(PROJECTS)
    found = {labels: value for (series_name, labels), value in series(metrics).items() if series_name == name}
    assert len(found) == count * len(PROJECTS)
    assert set(found.values()) == {0.0}
    assert {dict(labels)["project"] for labels in found} == set(PROJECTS)


def test_series_of_the_whole_daemon_are_nought_as_well() -> None:
    metrics = some_metrics()
    metrics.initialise([])
    found = series(metrics)
    assert found[("lastgood_leader", ())] == 0
    assert found[("lastgood_store_failures_total", ())] == 0
    assert found[("lastgood_notifications_total", (("outcome", "failed"), ("severity", "page")))] == 0
    assert found[("lastgood_build_info", (("version", "1.2.3"),))] == 1


def test_initialising_again_changes_no_count() -> None:
    metrics = some_metrics()
    metrics.initialise(PROJECTS)
    metrics.cycles.labels(project="prj_shop", outcome="completed").inc(3)
    metrics.initialise(PROJECTS)
    assert series(metrics)[("lastgood_cycles_total", (("outcome", "completed"), ("project", "prj_shop")))] == 3


def test_an_acknowledgement_ends_no_incident_a_second_time() -> None:
    assert {"recovered", "denied", "foreign_move", "refused", "rejected"} <= set(ENDING_TRIGGERS)
    assert not {"acknowledged", "authorized", "observed_on_target", "held_back"} & set(ENDING_TRIGGERS)


def test_the_totals_are_the_counters_and_nothing_else() -> None:
    metrics = some_metrics()
    metrics.store_failures.inc(2)
    metrics.leader.set(1)
    totals = metrics.totals()
    assert totals["lastgood_store_failures_total{}"] == 2
    assert all("_total" in name for name in totals)


def test_two_registries_do_not_share_anything() -> None:
    one, two = some_metrics(), some_metrics()
    one.store_failures.inc()
    assert series(two)[("lastgood_store_failures_total", ())] == 0


def test_of_a_project_that_is_watched_no_more_no_series_is_left_and_the_others_stay() -> None:
    metrics = some_metrics()
    metrics.initialise(PROJECTS)
    metrics.last_cycle.labels(project="prj_blog").set(1)
    metrics.cycles.labels(project="prj_shop", outcome="completed").inc(3)
    before = {key for key in series(metrics) if ("project", "prj_blog") not in key[1]}
    metrics.forget({"prj_blog", "prj_unknown"})
    assert series(metrics).keys() == before
    assert series(metrics)[("lastgood_cycles_total", (("outcome", "completed"), ("project", "prj_shop")))] == 3
