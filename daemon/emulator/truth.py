"""The world as it really is, which no Vercel client could know: for control, tests and labels."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from daemon.emulator.durations import MINUTE_MS
from daemon.emulator.model import AliasJob, Deployment, Failure, Project
from daemon.emulator.rolling import Release, ReleaseState
from daemon.emulator.world import World


def world(emulated: World) -> dict[str, Any]:
    """Return everything that matters about the world at its present instant."""
    return {
        "nowMs": emulated.now_ms,
        "startMs": emulated.start_ms,
        "scenario": emulated.scenario.name,
        "parameters": emulated.scenario.parameters,
        "team": {"id": emulated.team.id, "slug": emulated.team.slug, "plan": emulated.team.plan.value},
        "knobs": emulated.knobs.model_dump(),
        "refusals": [{"atMs": at_ms, "refusal": text} for at_ms, text in emulated.refusals],
        "projects": [project(emulated, item) for item in emulated.projects.values()],
    }


def project(emulated: World, facts: Project) -> dict[str, Any]:
    """Return one project, what its domains point to, and all its deployments, oldest first."""
    names = {item.id: item.name for item in emulated.deployments_of(facts)}
    return {
        "id": facts.id,
        "name": facts.name,
        "production": names.get(facts.production_id or ""),
        "productionId": facts.production_id,
        "pinned": facts.pinned,
        "autoAssign": facts.auto_assign,
        "domains": {domain: names[item] for domain, item in facts.assigned(emulated.now_ms).items()},
        "crons": names.get(facts.production_id or ""),
        "rollingReleases": [release(emulated, item, names) for item in emulated.rolling.all(facts)],
        "jobs": [job(item) for item in facts.jobs],
        "outages": [failure(item) for item in facts.outages if item.is_active(emulated.now_ms)],
        "deployments": [deployment(emulated, item) for item in emulated.deployments_of(facts)],
    }


def deployment(emulated: World, facts: Deployment) -> dict[str, Any]:
    """Return one deployment and how it fails."""
    return {
        "id": facts.id,
        "name": facts.name,
        "url": facts.url,
        "target": "production" if facts.is_production else "preview",
        "readyState": facts.ready_state.value,
        "readySubstate": None if facts.substate is None else facts.substate.value,
        "createdAtMs": facts.created_at_ms,
        "readyAtMs": facts.ready_at_ms,
        "activatedAtMs": facts.activated_at_ms,
        "sha": facts.commit.sha,
        "domains": emulated.domains_of(facts),
        "failures": [failure(item) for item in facts.failures],
    }


def release(emulated: World, facts: Release, names: Mapping[str, str]) -> dict[str, Any]:
    """Return one rolling release, the canary's share of the visitors now, and what its gate saw."""
    owner = emulated.projects[facts.project_id]
    return {
        "id": facts.id,
        "state": facts.state.value,
        "base": names.get(facts.base_id),
        "canary": names.get(facts.canary_id),
        "stage": facts.stage_index,
        "share": emulated.rolling.share(owner, emulated.now_ms) if facts.state is ReleaseState.ACTIVE else 0.0,
        "isPaused": facts.paused_share is not None,
        "startedAtMs": facts.started_at_ms,
        "trippedAtMs": facts.tripped_at_ms,
        "evaluations": [asdict(item) for item in facts.evaluations],
    }


def job(facts: AliasJob) -> dict[str, Any]:
    """Return one alias job."""
    return {
        "id": facts.id,
        "type": facts.kind.value,
        "from": facts.from_id,
        "to": facts.to_id,
        "status": facts.status.value,
        "outcome": facts.outcome,
        "by": facts.by,
        "requestedAtMs": facts.requested_at_ms,
        "finishedAtMs": facts.finished_at_ms,
        "aliases": {domain: status.value for domain, status in facts.aliases.items()},
    }


def failure(facts: Failure) -> dict[str, Any]:
    """Return one way to fail; a time that is None has no bound."""
    return {
        "ratio": facts.ratio,
        "status": facts.status,
        "route": facts.route,
        "message": facts.message,
        "fromMs": facts.from_ms,
        "untilMs": facts.until_ms,
    }


def counts(emulated: World, facts: Project, *, from_ms: int, to_ms: int) -> dict[str, Any]:
    """Return every count of [*from_ms*, *to_ms*), in whole minutes and without any lag."""
    first = from_ms - from_ms % MINUTE_MS
    cells = [
        {"minuteMs": minute, "count": count, **key._asdict()}
        for minute, kinds in emulated.traffic_of(facts).counts.per_minute(
            from_ms=first, to_ms=to_ms, visible_to_ms=emulated.now_ms
        )
        for key, count in kinds.items()
    ]
    return {"project": facts.name, "fromMs": first, "toMs": to_ms, "cells": cells}
