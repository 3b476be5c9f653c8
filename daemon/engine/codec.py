"""States, events and commands as JSON documents, and back. Only the store's text passes through here."""

from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from daemon.core.command import Command
from daemon.core.event import Event
from daemon.core.state import ProjectState, Watch
from daemon.detectors import decode_memory, encode_memory

_STATE: TypeAdapter[ProjectState] = TypeAdapter(ProjectState)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_COMMAND: TypeAdapter[Command] = TypeAdapter(Command)


def encode_state(state: ProjectState) -> str:
    """Return *state* as JSON; what it means is checked by reading it back."""
    watches = tuple(_with_memories(watch, encode_memory) for watch in state.watches)
    document = _STATE.dump_json(replace(state, watches=watches)).decode()
    assert decode_state(document) == state, f"{state.project}: the state does not survive its own serialisation"
    return document


def decode_state(document: str) -> ProjectState:
    """Return the state that `encode_state` wrote. Raises ValueError for anything else."""
    state = _STATE.validate_json(document)
    return replace(state, watches=tuple(_with_memories(watch, decode_memory) for watch in state.watches))


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


def _with_memories(watch: Watch, convert: Any) -> Watch:
    try:
        return replace(watch, memories={name: convert(name, memory) for name, memory in watch.memories.items()})
    except KeyError as error:
        raise ValueError(f"{watch.deployment}: no detector is called {error}") from error
