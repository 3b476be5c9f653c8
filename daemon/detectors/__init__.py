"""Detectors, one file each. A new one is its file and one line in the union below."""

from typing import get_args

from pydantic import TypeAdapter

from daemon.core.detector import Memory
from daemon.detectors.threshold import Threshold

DetectorSettings = Threshold
"""What `detectors:` in the configuration may hold: a union discriminated by `kind`, as soon as there are two."""

_MEMORIES: dict[str, TypeAdapter[Memory]] = {
    detector.model_fields["kind"].default: TypeAdapter(detector.memory_type)
    for detector in get_args(DetectorSettings) or (DetectorSettings,)
}


def encode_memory(name: str, memory: Memory) -> object:
    """Return *memory* of the detector called *name* as plain JSON values."""
    encoded: object = _MEMORIES[name].dump_python(memory, mode="json")
    return encoded


def decode_memory(name: str, value: object) -> Memory:
    """Return what `encode_memory` wrote. Raises ValueError for a value that is not such a memory."""
    return _MEMORIES[name].validate_python(value)
