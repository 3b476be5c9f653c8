"""Operators' requests, from the store's queue into events."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter

from daemon.core.event import OperatorRequested, OperatorVerb
from daemon.core.facts import Instant
from daemon.ports.store import OperatorRequest

_REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class Ask:
    """What an operator asks for, as written into the queue. `for_seconds` bounds a pause; None: until resumed."""

    verb: OperatorVerb
    reason: Annotated[str, Field(max_length=_REASON_MAX)] = ""
    for_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    incident: str | None = None


_ASK: TypeAdapter[Ask] = TypeAdapter(Ask)


def encode_ask(ask: Ask) -> str:
    """Return *ask* as the queue's document."""
    return _ASK.dump_json(ask).decode()


def to_event(request: OperatorRequest, moment: Instant) -> OperatorRequested:
    """Return the event for *request*. Raises ValueError for a document that is not an Ask."""
    ask = _ASK.validate_json(request.document)
    return OperatorRequested(
        moment,
        verb=ask.verb,
        by=request.requested_by,
        reason=ask.reason,
        for_seconds=ask.for_seconds,
        incident=ask.incident,
    )
