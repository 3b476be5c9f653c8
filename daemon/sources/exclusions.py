"""What a project's counts leave out: noisy routes, and statuses that are no failure of a deployment."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _route_pattern(pattern: str) -> str:
    if not pattern.strip("*"):
        raise ValueError("would leave out every route; write which, such as /api/health")
    return pattern


def _server_error(status: int) -> int:
    if not 500 <= status <= 599:
        raise ValueError(f"{status} is no status of a server's error; write one from 500 to 599")
    return status


RoutePattern = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$"), AfterValidator(_route_pattern)]
ServerError = Annotated[int, AfterValidator(_server_error)]


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Requests to `routes` are not counted at all; an answer of one of `statuses` is a request and no error.

    In a route `*` stands for any text, slashes included; everything else, brackets included, for itself.
    """

    routes: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    def leave_out(self, route: str) -> bool:
        """Return whether requests to *route* are not counted."""
        return any(_matches(pattern, route) for pattern in self.routes)

    def is_error(self, status: int) -> bool:
        """Return whether an answer of *status* is an error: one of 500 to 599 that is not excluded."""
        return 500 <= status <= 599 and status not in self.statuses


NOTHING_EXCLUDED = Exclusions()


def _matches(pattern: str, route: str) -> bool:
    """Return whether *route* is of the form *pattern*, in time that grows with their lengths alone."""
    first, *others = pattern.split("*")
    if not others:
        return route == pattern
    *inner, last = others
    if not route.startswith(first) or len(route) < len(first) + len(last):
        return False
    at, end = len(first), len(route) - len(last)
    for part in inner:
        found = route.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return route.endswith(last)
