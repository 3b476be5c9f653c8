"""States, events and commands as JSON documents, and back. Only the store's text passes through here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from daemon.core.command import Command
from daemon.core.event import Event
from daemon.core.state import ProjectState
from daemon.detectors import decode_memory, encode_memory

_STATE: TypeAdapter[ProjectState] = TypeAdapter(ProjectState)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def encode_state(state: ProjectState) -> str:
    """Return *state* as JSON; what it means is checked by reading it back."""
    document = _STATE.dump_json(_with_memories(state, encode_memory)).decode()
    assert decode_state(document) == state, f"{state.project}: the state does not survive its own serialisation"
    return document


def decode_state(document: str) -> ProjectState:
    """Return the state that `encode_state` wrote. Raises ValueError for anything else."""
    return _with_memories(_STATE.validate_json(document), decode_memory)


def encode_event(event: Event) -> str:
    """Return *event* as JSON."""
    return _EVENT.dump_json(event).decode()


def decode_event(document: str) -> Event:
    """Return the event that `encode_event` wrote. Raises ValueError for anything else."""
    return _EVENT.validate_json(document)


def encode_command(command: Command) -> str:
    """Return *command* as JSON."""
    return _COMMAND.dump_json(command).decode()


def decode_command(document: str) -> Command:
    """Return the command that `encode_command` wrote. Raises ValueError for anything else."""
    return _COMMAND.validate_json(document)


def _with_memories(state: ProjectState, convert: Callable[[str, Any], Any]) -> ProjectState:
    """Return *state* with every detector's memory converted, those of its deployments and its own."""

    def converted(memories: Mapping[str, Any]) -> dict[str, Any]:
        return {name: convert(name, memory) for name, memory in memories.items()}

    try:
        watches = tuple(replace(watch, memories=converted(watch.memories)) for watch in state.watches)
        return replace(state, watches=watches, memories=converted(state.memories))
    except KeyError as error:
        raise ValueError(f"{state.project}: no detector is called {error}") from error
