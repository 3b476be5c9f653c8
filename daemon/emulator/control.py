"""The control endpoint: make things happen in the world, set faults, and read the truth. For tests; needs no token."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError
from starlette.datastructures import QueryParams

from daemon.emulator import truth
from daemon.emulator.call import Answer
from daemon.emulator.clock import ManualClock
from daemon.emulator.deliveries import Deliveries
from daemon.emulator.errors import ApiError, bad_request, conflict, not_found
from daemon.emulator.fault_specs import Fault, JobOutcome
from daemon.emulator.labels import labels
from daemon.emulator.scenario import DeploySpec, FailuresSpec, MoveSpec, OutageSpec, ProjectRef, VariableChange
from daemon.emulator.strict import Strict, sentences
from daemon.emulator.world import World

_FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)


class _ClockSpec(Strict):
    advance_seconds: float = Field(ge=0)


class _JobSpec(Strict):
    project: str
    outcome: JobOutcome = JobOutcome.SUCCEEDED


Reader = Callable[[QueryParams], Any]
Writer = Callable[[Any], Any]


class Control:
    """Answers ``/__control/...``. Every answer is JSON; a refusal has the API's error envelope."""

    def __init__(self, world: World, deliveries: Deliveries) -> None:
        """Control *world*; *deliveries* is what it sends by itself."""
        self._world = world
        self._readers: Mapping[str, Reader] = {
            "health": lambda _query: {"status": "ok", "scenario": world.scenario.name, "nowMs": world.now_ms},
            "world": lambda _query: truth.world(world),
            "ledger": self._ledger,
            "counts": self._counts,
            "labels": self._labels,
            "deliveries": lambda _query: deliveries.as_json(),
            "faults": lambda _query: [_fault(item) for item in world.faults.listed()],
        }
        self._writers: Mapping[str, Writer] = {
            "faults": lambda body: {"id": world.faults.set(_FAULT.validate_python(body))},
            "deployments": self._deploy,
            "promote": self._promote,
            "rollback": self._roll_back,
            "outage": self._start_outage,
            "end-outage": self._end_outage,
            "failures": self._set_failures,
            "finish-job": self._finish_job,
            "env": self._write_variable,
            "knobs": self._set_knobs,
            "clock": self._advance,
        }

    def answer(self, method: str, path: str, query: QueryParams, body: bytes) -> Answer:
        """Answer one request; what is unknown is a 404, what is malformed a 400."""
        name, _, rest = path.removeprefix("/__control/").partition("/")
        try:
            if method == "DELETE" and name == "faults":
                return Answer(200, {"cleared": self._world.faults.clear(rest or "all")})
            if method == "GET" and not rest and name in self._readers:
                return Answer(200, self._readers[name](query))
            if method == "POST" and not rest and name in self._writers:
                return Answer(200, self._writers[name](json.loads(body or b"{}")))
            raise not_found(
                f"{method} {path} is no control; read {sorted(self._readers)}, write {sorted(self._writers)}"
            )
        except ApiError as refusal:
            return Answer(refusal.status, refusal.envelope())
        except ValidationError as error:
            return Answer(400, bad_request(sentences(error, whole="body")).envelope())
        except ValueError as error:
            return Answer(400, bad_request(str(error)).envelope())

    def _ledger(self, query: QueryParams) -> Any:
        return self._world.ledger.as_json(after=int(query.get("after", "0")), limit=int(query.get("limit", "1000")))

    def _counts(self, query: QueryParams) -> Any:
        project = self._world.project(query.get("project", ""))
        from_ms = int(query.get("from", "0"))
        to_ms = int(query.get("to", str(self._world.now_ms)))
        return truth.counts(self._world, project, from_ms=from_ms, to_ms=to_ms)

    def _labels(self, query: QueryParams) -> Any:
        wanted = query.get("project")
        return labels(self._world, None if wanted is None else self._world.project(wanted))

    def _deploy(self, body: Any) -> Any:
        return truth.deployment(self._world, self._world.deploy(DeploySpec.model_validate(body)))

    def _promote(self, body: Any) -> Any:
        move = MoveSpec.model_validate(body)
        begun = self._world.request_promote(self._world.project(move.project), move.deployment, by=move.by)
        return asdict(begun)

    def _roll_back(self, body: Any) -> Any:
        move = MoveSpec.model_validate(body)
        project = self._world.project(move.project)
        job = self._world.request_rollback(project, move.deployment, by=move.by, description=move.description)
        return asdict(job)

    def _start_outage(self, body: Any) -> Any:
        spec = OutageSpec.model_validate(body)
        self._world.start_outage(self._world.project(spec.project), spec)
        return {"outage": "begun"}

    def _end_outage(self, body: Any) -> Any:
        self._world.end_outage(self._world.project(ProjectRef.model_validate(body).project))
        return {"outage": "ended"}

    def _set_failures(self, body: Any) -> Any:
        spec = FailuresSpec.model_validate(body)
        deployment = self._world.deployment(spec.project, spec.deployment)
        self._world.set_failures(deployment, spec.failures)
        return truth.deployment(self._world, deployment)

    def _write_variable(self, body: Any) -> Any:
        return asdict(self._world.write_variable(VariableChange.model_validate(body)))

    def _finish_job(self, body: Any) -> Any:
        spec = _JobSpec.model_validate(body)
        return asdict(self._world.finish_stuck_job(self._world.project(spec.project), spec.outcome))

    def _set_knobs(self, body: Any) -> Any:
        if not isinstance(body, dict):
            raise bad_request("knobs are an object of names and values")
        changed = {**self._world.knobs.model_dump(), **body}
        self._world.knobs = type(self._world.knobs).model_validate(changed)
        return self._world.knobs.model_dump()

    def _advance(self, body: Any) -> Any:
        clock = self._world.clock
        if not isinstance(clock, ManualClock):
            raise conflict("This emulator runs on a real clock, which nobody can advance.")
        clock.advance(_ClockSpec.model_validate(body).advance_seconds)
        return {"nowMs": self._world.advance()}


def _fault(item: Any) -> Any:
    return {**item.spec.model_dump(mode="json"), "id": item.id, "matched": item.matched, "fired": item.fired}
