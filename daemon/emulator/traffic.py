"""Visitors of one project: a pure function of the seed and the time, generated lazily in steps of one second."""

import itertools
import math
import random
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from daemon.emulator.counts import MINUTES_KEPT, CellKey, Counts, Request
from daemon.emulator.durations import MINUTE_MS, SECOND_MS
from daemon.emulator.model import Deployment, Project
from daemon.emulator.project_specs import RouteSpec
from daemon.emulator.shapes import is_minutes_second, mean_of_second

CAUGHT_MESSAGE = "Error: recommendations are not available, showing none"
_POISSON_EXACT_BELOW = 30.0
_PARAMETER = re.compile(r"\[[^\]]+\]")


class Traffic:
    """The requests that one project got. Invariant: all seconds before ``generated_to_ms`` are there, none after."""

    def __init__(
        self,
        project: Project,
        deployments: Mapping[str, Deployment],
        *,
        seed: int,
        start_ms: int,
        history_ms: int,
        rows_kept: int,
    ) -> None:
        """Generate traffic of *project* from *history_ms* before *start_ms* on."""
        self.counts = Counts(rows_kept)
        self._project = project
        self._deployments = deployments
        self._spec = project.spec.traffic
        self._seed = seed
        self._zero_ms = start_ms - start_ms % SECOND_MS
        self.generated_to_ms = self._zero_ms - history_ms // SECOND_MS * SECOND_MS
        self._weights = list(itertools.accumulate(route.weight for route in self._spec.routes))
        self._statuses = {route.path: _cumulated(route.statuses) for route in self._spec.routes}
        self._numbers = itertools.count(1)
        self._visits: list[Request] = []

    def catch_up(self, now_ms: int) -> None:
        """Generate every second that is over at *now_ms*."""
        end = now_ms - now_ms % SECOND_MS
        oldest = end - MINUTES_KEPT * MINUTE_MS
        for second in range(max(self.generated_to_ms, oldest), end, SECOND_MS):
            self.counts.add(self._second(second))
        if end > self.generated_to_ms:
            self.generated_to_ms = end
            self.counts.prune(end)

    def visit(
        self, deployment: Deployment, *, at_ms: int, domain: str, path: str, method: str, is_file: bool = False
    ) -> Request:
        """Let *deployment* answer a real request to a deployed site; it is counted once its second is over.

        A path that is no route of the site is found only if *is_file*.

        Hits on a generated URL count as preview. Source: Vercel docs, Log Drains reference, ``environment``.
        """
        number = next(self._numbers)
        environment = "production" if domain in self._project.domains else "preview"
        route = next((route for route in self._spec.routes if _matches(route.path, path)), None)
        if route is None:
            status, error_code, message, source = 200 if is_file else 404, "", None, "static"
        else:
            rng = random.Random(f"{self._seed}:{self._project.name}:visit:{number}")
            status, error_code, message = self._outcome(deployment, route, at_ms, rng)
            source = route.source
        key = CellKey(deployment.id, environment, route.path if route else path, status, method, error_code, "")
        request = Request(at_ms, number, key, domain, path, source, message, 5)
        self._visits.append(request)
        return request

    def _second(self, second: int) -> list[Request]:
        rng = random.Random(f"{self._seed}:{self._project.name}:{(second - self._zero_ms) // SECOND_MS}")
        requests = [*self._production(second, rng), *self._preview(second, rng)]
        arrived = [visit for visit in self._visits if visit.at_ms < second + SECOND_MS]
        if arrived:
            self._visits = [visit for visit in self._visits if visit.at_ms >= second + SECOND_MS]
            requests += arrived
        requests.sort(key=lambda request: (request.at_ms, request.number))
        return requests

    def _production(self, second: int, rng: random.Random) -> Iterable[Request]:
        domains = self._project.domains
        for _ in range(self._arrivals(second, rng)):
            at_ms = second + int(rng.random() * SECOND_MS)
            domain = domains[int(rng.random() * len(domains))]
            deployment_id = self._project.assigned(at_ms).get(domain)
            if deployment_id is None:
                continue  # The platform itself answers for a domain without a deployment, and counts nothing.
            if self._project.splits:
                deployment_id = self._shared(at_ms, deployment_id, rng)
            yield self._request(at_ms, domain, self._deployments[deployment_id], rng)

    def _arrivals(self, second: int, rng: random.Random) -> int:
        """Draw how many visitors of production a second brings."""
        shape, mean = self._spec.shape, self._spec.requests_per_second
        if shape == "flat":
            return _poisson(rng, mean)
        key = f"{self._seed}:{self._project.name}"
        if shape == "minutely":
            return int(is_minutes_second(second, key))
        return _poisson(rng, mean_of_second(shape, mean, at_ms=second, key=key))

    def _shared(self, at_ms: int, deployment_id: str, rng: random.Random) -> str:
        """Return the canary for its share of the visitors during a rolling release, else *deployment_id*."""
        split = self._project.split_at(at_ms)
        share = split.share_at(at_ms)
        return split.canary_id if split.canary_id is not None and rng.random() < share else deployment_id

    def _preview(self, second: int, rng: random.Random) -> Iterable[Request]:
        spec = self._spec.preview
        if not spec.requests_per_second:
            return
        for _ in range(_poisson(rng, spec.requests_per_second)):
            at_ms = second + int(rng.random() * SECOND_MS)
            deployment = self._previewed(at_ms)
            if deployment is not None:
                yield self._request(at_ms, deployment.url, deployment, rng, preview_error_ratio=spec.error_ratio)

    def _previewed(self, at_ms: int) -> Deployment | None:
        """Return what preview visitors look at: the newest preview build, else the newest build; None before any."""
        ready = [
            deployment
            for deployment in self._deployments.values()
            if deployment.project_id == self._project.id
            and deployment.ready_at_ms is not None
            and deployment.ready_at_ms <= at_ms
        ]
        return max(ready, key=lambda item: (not item.is_production, item.created_at_ms), default=None)

    def _request(
        self,
        at_ms: int,
        domain: str,
        deployment: Deployment,
        rng: random.Random,
        *,
        preview_error_ratio: float | None = None,
    ) -> Request:
        """Draw a request; *preview_error_ratio* None means that it is one of production."""
        environment = "production" if preview_error_ratio is None else "preview"
        route = self._spec.routes[bisect_right(self._weights, rng.random() * self._weights[-1])]
        number = next(self._numbers)
        path = _PARAMETER.sub(str(1 + number % 97), route.path)
        waf_action = ""
        if rng.random() < self._spec.firewall_denied_ratio:
            status, error_code, message, waf_action = 403, "", None, "deny"
        elif preview_error_ratio is not None and rng.random() < preview_error_ratio:
            status, error_code, message = 500, "", "Error: preview build is broken"
        else:
            status, error_code, message = self._outcome(deployment, route, at_ms, rng)
        key = CellKey(deployment.id, environment, route.path, status, route.method, error_code, waf_action)
        caught = self._caught(rng) if status < 400 else ()
        return Request(at_ms, number, key, domain, path, route.source, message, 5 + number * 7 % 120, caught)

    def _caught(self, rng: random.Random) -> tuple[tuple[str, str], ...]:
        """Draw the lines of an exception that the site caught: nothing where the scenario wants none of them."""
        ratio = self._spec.caught_error_ratio
        return (("error", CAUGHT_MESSAGE),) if ratio and rng.random() < ratio else ()

    def _outcome(
        self, deployment: Deployment, route: RouteSpec, at_ms: int, rng: random.Random
    ) -> tuple[int, str, str | None]:
        """Draw status, error code and log message; failures are independent of each other, the first one drawn wins."""
        chance = rng.random()
        for failure in (*deployment.failures, *self._project.outages):
            if failure.route not in (None, route.path) or not failure.is_active(at_ms):
                continue
            if chance < failure.ratio:
                return failure.status, failure.error_code, failure.message
            chance = (chance - failure.ratio) / (1 - failure.ratio)
        if chance < self._spec.baseline_error_ratio:
            return self._spec.baseline_status, "", "Error: upstream timed out"
        statuses, weights = self._statuses[route.path]
        return statuses[bisect_right(weights, rng.random() * weights[-1])], "", None


def _cumulated(statuses: Mapping[int, float]) -> tuple[list[int], list[float]]:
    return list(statuses), list(itertools.accumulate(statuses.values()))


def _matches(route: str, path: str) -> bool:
    pattern = "[^/]+".join(re.escape(part) for part in _PARAMETER.split(route))
    return re.fullmatch(pattern, path) is not None


def _poisson(rng: random.Random, mean: float) -> int:
    """Draw from a Poisson distribution, above a mean of 30 by its normal approximation. Source: Knuth, TAOCP 3.4.1."""
    if mean <= 0:
        return 0
    if mean >= _POISSON_EXACT_BELOW:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
