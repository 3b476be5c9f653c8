"""Which faults are set, and which of them strike a given request."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from daemon.emulator.errors import bad_request
from daemon.emulator.fault_specs import Fault, FaultSpec, NotifyFault, RouteGroup

FaultKind = TypeVar("FaultKind", bound=FaultSpec)


@dataclass(slots=True)
class ActiveFault:
    """A fault that is set, and how often it has matched and fired."""

    id: str
    spec: Fault
    rng: random.Random
    matched: int = 0
    fired: int = 0

    @property
    def is_spent(self) -> bool:
        """Tell whether it can never fire again."""
        return self.spec.count is not None and self.fired >= self.spec.count

    def fires(self, *, route: RouteGroup, method: str, project: str | None) -> bool:
        """Match one request and tell whether the fault strikes it; counts both."""
        spec = self.spec
        if spec.route not in (RouteGroup.ANY, route) or spec.method not in (None, method):
            return False
        if spec.concerns is not None and route not in spec.concerns:
            return False
        if spec.project not in (None, project) or self.is_spent:
            return False
        self.matched += 1
        skip = spec.skip + (spec.on_request - 1 if isinstance(spec, NotifyFault) else 0)
        if self.matched <= skip:
            return False
        if spec.probability < 1 and self.rng.random() >= spec.probability:
            return False
        self.fired += 1
        return True


@dataclass(frozen=True, slots=True)
class Strikes:
    """The faults that strike one request."""

    faults: tuple[ActiveFault, ...] = ()

    def of(self, kind: type[FaultKind]) -> Iterator[FaultKind]:
        """Yield the specs of one *kind*, in the order in which they were set."""
        for fault in self.faults:
            if isinstance(fault.spec, kind):
                yield fault.spec

    def first(self, kind: type[FaultKind]) -> FaultKind | None:
        """Return the first spec of *kind*; None when no such fault strikes."""
        return next(self.of(kind), None)


@dataclass(slots=True)
class Faults:
    """The set faults by id, in the order in which they were set."""

    kill: Callable[[int, int], None] = os.kill
    _active: dict[str, ActiveFault] = field(default_factory=dict)
    _counter: int = 0

    def set(self, spec: Fault) -> str:
        """Set a fault and return its id; one of the same id is replaced. Killing this very process is refused (400)."""
        if isinstance(spec, NotifyFault) and (spec.kill_pid <= 1 or spec.kill_pid == os.getpid()):
            raise bad_request(f"refusing to kill process {spec.kill_pid}")
        self._counter += 1
        fault_id = spec.id or f"{spec.kind}-{self._counter}"
        self._active[fault_id] = ActiveFault(fault_id, spec, random.Random(f"{fault_id}:{spec.seed}"))
        return fault_id

    def clear(self, fault_id: str = "all") -> int:
        """Clear one fault, or ``all``; return how many were cleared."""
        if fault_id == "all":
            cleared = len(self._active)
            self._active.clear()
            return cleared
        return int(self._active.pop(fault_id, None) is not None)

    def strike(self, *, route: RouteGroup, method: str, project: str | None) -> Strikes:
        """Return the faults that strike one request to *route*."""
        return Strikes(
            tuple(fault for fault in self._active.values() if fault.fires(route=route, method=method, project=project))
        )

    def listed(self) -> list[ActiveFault]:
        """Return every fault that is set, spent ones included."""
        return list(self._active.values())

    def notify(self, strikes: Strikes, when: str) -> None:
        """Send SIGKILL to the processes of the notify faults that wait for this point; a dead process is no error."""
        for spec in strikes.of(NotifyFault):
            if spec.when == when:
                try:
                    self.kill(spec.kill_pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
