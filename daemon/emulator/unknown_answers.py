"""The knobs that let a whole route answer otherwise, in one place."""

import re

from daemon.emulator.call import Route
from daemon.emulator.errors import forbidden, not_found
from daemon.emulator.fault_specs import RouteGroup
from daemon.emulator.knobs import Knobs
from daemon.emulator.model import Token

_MOVES = frozenset({RouteGroup.ROLLBACK, RouteGroup.PROMOTE, RouteGroup.ROLLING_RELEASE})
_UNDOCUMENTED = re.compile(r"/metrics/v1|/v\d+/observability/events")


def refuse(knobs: Knobs, token: Token, matched: Route, path: str) -> None:
    """Raise what *knobs* say of this route in place of an answer: a 403 for a token's kind, a 404 for what is gone."""
    is_move = matched.is_mutating and matched.group in _MOVES
    if is_move and token.projects is not None and knobs.project_token_moves == "forbidden":  # noqa: S105 - no secret
        raise forbidden()
    if knobs.undocumented_routes == "gone" and _UNDOCUMENTED.fullmatch(path):
        raise not_found("The requested API endpoint was not found.")
