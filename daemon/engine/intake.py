"""Operators' requests, from the store's queue into events."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from daemon.core.event import OperatorRequested, OperatorVerb
from daemon.core.facts import Instant
from daemon.ports.store import OperatorRequest

REASON_CHARACTERS_MAX = 500
_AGE_SECONDS_MAX = 3600.0
"""Whoever asked an hour ago looked at another incident."""


class Outdated(ValueError):
    """What was asked for is too old to be meant still, or over."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What an operator asks for, as written into the queue. `for_seconds` bounds a pause; None: until resumed."""

    verb: OperatorVerb
    reason: Annotated[str, Field(max_length=REASON_CHARACTERS_MAX)] = ""
    for_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    incident: str | None = None


_ASK: TypeAdapter[Ask] = TypeAdapter(Ask)


def encode_ask(ask: Ask) -> str:
    """Return *ask* as the queue's document."""
    return _ASK.dump_json(ask).decode()


def to_event(request: OperatorRequest, moment: Instant, *, is_new_project: bool = False) -> OperatorRequested:
    """Return the event for *request* as it is taken at *moment*. Raises ValueError for a document that is not an Ask.

    A pause counts from when it was asked for. Raises Outdated for one that is over, and for what was asked for over an
    hour ago. A pause is never too old, since whoever asked relies on it, unless the project was added only later.
    """
    ask = _ASK.validate_json(request.document)
    age = max(0.0, (moment.at - request.requested_at).total_seconds())
    if age > _AGE_SECONDS_MAX and (is_new_project or ask.verb is not OperatorVerb.PAUSE):
        raise Outdated(f"{request.requested_by} asked to {ask.verb} {age:.0f} s ago: too old, so ask again")
    for_seconds = None if ask.for_seconds is None else ask.for_seconds - age
    if for_seconds is not None and for_seconds <= 0:
        raise Outdated(f"{request.requested_by} asked to {ask.verb} {age:.0f} s ago, for {ask.for_seconds:.0f} s only")
    return OperatorRequested(
        moment,
        verb=ask.verb,
        by=request.requested_by,
        reason=ask.reason,
        for_seconds=for_seconds,
        incident=ask.incident,
    )
