"""The request log with `counts: errors`: failed requests alone, without a denominator."""

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.detector import Finding, Verdict
from daemon.core.facts import ErrorRateSample
from daemon.detectors.threshold import Threshold
from daemon.emulator.scenario import DeploySpec
from daemon.ports.source import Reading, Wanted
from daemon.sources.request_logs import RequestLogsSettings
from tests.unit.sources.request_log import (
    END,
    NOW,
    START,
    RequestLog,
    SlowLog,
    a_log_row,
    a_source,
    collect,
    read,
)
from tests.unit.vercel.emulated import emulated


async def test_errors_alone_are_read_from_the_list_of_failures_and_have_no_denominator():
    rows = [a_log_row(n, status=500 if n % 4 == 0 else 200) for n in range(60)]
    source, script = a_source(RequestLog(rows), counts="errors")
    reading = await read(source)
    edge = START + timedelta(seconds=30)
    assert list(reading.samples) == [
        ErrorRateSample("dpl_a", START, edge, requests=None, errors=8),
        ErrorRateSample("dpl_a", edge, END, requests=None, errors=7),
    ]
    assert (reading.complete_until, reading.covered) == (END, 1.0)
    assert [script.query(n).get("statusCode") for n in range(len(script.requests))] == ["5xx"]


async def test_each_deployments_errors_are_told_by_its_own_name():
    rows = [a_log_row(n, status=500, deploymentId=f"dpl_{'ab'[n % 3 == 0]}") for n in range(30)]
    reading = await collect(RequestLog(rows), counts="errors")
    assert {one.deployment: one.errors for one in reading.samples if one.errors} == {"dpl_a": 20, "dpl_b": 10}


async def test_a_cut_list_of_errors_says_that_there_were_at_least_so_many():
    rows = [a_log_row(59.9 - n / 10, status=500, number=n) for n in range(300)]
    reading = await collect(RequestLog(rows), counts="errors", error_pages_max=2)
    oldest = START + timedelta(seconds=50)
    assert list(reading.samples) == [ErrorRateSample("dpl_a", oldest, END, None, 100, is_sampled=True)]
    assert reading.covered == pytest.approx(10 / 60)


async def test_I_02_where_nothing_fails_errors_alone_say_nothing():
    reading = await collect(RequestLog([a_log_row(n) for n in range(60)]), counts="errors")
    assert (list(reading.samples), reading.complete_until, reading.lag) == ([], END, None)


async def test_before_its_first_failure_nothing_is_said_of_a_deployment():
    reading = await collect(RequestLog([a_log_row(45, status=500)]), counts="errors")
    edge = START + timedelta(seconds=30)
    assert list(reading.samples) == [ErrorRateSample("dpl_a", edge, END, requests=None, errors=1)]


async def test_a_deployment_that_was_seen_to_fail_is_told_to_fail_no_more():
    source, _ = a_source(RequestLog([a_log_row(1, status=500), a_log_row(70)]), counts="errors")
    await read(source)
    reading = await read(source, since=END, now=NOW + timedelta(seconds=60))
    assert [(one.deployment, one.requests, one.errors) for one in reading.samples] == [("dpl_a", None, 0)] * 2
    assert (reading.samples[0].start, reading.samples[-1].end) == (END, END + timedelta(seconds=60))


async def test_a_deployment_that_has_not_failed_for_an_hour_is_nobodys_concern():
    log = SlowLog([(a_log_row(1, status=500), 0.1)])
    source, _ = a_source(log, counts="errors", lookback_max=timedelta(minutes=1))
    watermark, told = START, []
    for minute in range(1, 70):
        log.now = now = START + timedelta(minutes=minute)
        reading = await read(source, since=watermark, now=now)
        watermark = reading.complete_until
        told.append(bool(reading.samples))
    assert told == [True] * 59 + [False] * 10


async def test_no_more_than_sixteen_failing_deployments_are_remembered():
    rows = [a_log_row(n, status=500, deploymentId=f"dpl_{n:02}") for n in range(40)]
    log = SlowLog([(row, 0.1) for row in rows])
    log.now = NOW
    source, _ = a_source(log, counts="errors", late_max=timedelta(0))
    await read(source)
    reading = await read(source, since=END, now=NOW + timedelta(seconds=20))
    assert {one.deployment for one in reading.samples} == {f"dpl_{n:02}" for n in range(24, 40)}


async def test_errors_of_the_platform_are_kept_apart_without_requests_too():
    rows = [a_log_row(1, status=500, errorCode="INTERNAL_UNEXPECTED_ERROR"), a_log_row(2, status=500)]
    sample, *_ = (await collect(RequestLog(rows), counts="errors")).samples
    assert (sample.requests, sample.errors, sample.platform_errors) == (None, 1, 1)


# With a detector, on an emulated Vercel


async def judged(rule: Threshold, *, requests_per_second: float, **settings: object) -> tuple[dict[str, Finding], int]:
    """Let a deployment of which half fails go live; return what *rule* finds of each, and how often was asked."""
    bad = {"project": "web", "name": "bad", "build": "0s", "failures": [{"ratio": 0.5}]}
    async with emulated(project={"traffic": {"requests_per_second": requests_per_second}}) as vercel:
        source, watermark = RequestLogsSettings(**settings).open(vercel.reader), vercel.now
        memories: dict[str, Any] = {}
        findings: dict[str, Finding] = {}
        for number in range(24):
            if number == 8:
                vercel.world.deploy(DeploySpec.model_validate(bad))
            vercel.pass_time(15)
            reading = (await source.collect([Wanted(vercel.project, watermark)], now=vercel.now))[vercel.project]
            assert isinstance(reading, Reading)
            watermark = reading.complete_until
            for one in reading.samples:
                memory = memories.get(one.deployment, rule.begin())
                memories[one.deployment], findings[one.deployment] = rule.update(memory, one)
        names = {vercel.id_of(name): name for name in ("good", "bad")}
        return {names[one]: finding for one, finding in findings.items()}, len(vercel.world.ledger.entries)


@pytest.mark.slow
async def test_errors_alone_find_a_bad_deployment_in_half_the_calls():
    by_ratio, asked_for_ratio = await judged(Threshold(), requests_per_second=2)
    by_count, asked_for_errors = await judged(
        Threshold(errors_per_minute_max=20), requests_per_second=2, counts="errors"
    )
    assert by_ratio["bad"].verdict is by_count["bad"].verdict is Verdict.BREACHING
    assert by_count["bad"].requests is None
    assert by_count["bad"].errors > 100
    assert "good" not in by_count
    assert asked_for_errors <= asked_for_ratio / 2


@pytest.mark.slow
async def test_errors_alone_find_a_bad_deployment_of_a_busy_site_from_lists_that_are_cut():
    found, _ = await judged(Threshold(errors_per_minute_max=200), requests_per_second=60, counts="errors")
    assert found["bad"].verdict is Verdict.BREACHING
    assert found["bad"].sentence.startswith("at least ")


@pytest.mark.slow
async def test_errors_alone_never_breach_a_ratio():
    found, _ = await judged(Threshold(), requests_per_second=2, counts="errors")
    assert (found["bad"].verdict, found["bad"].onset_at) == (Verdict.INCONCLUSIVE, None)
