"""Detectors, one file each. A new one is its file and one line in the union below."""

from typing import Annotated, get_args

from pydantic import Field, TypeAdapter

from daemon.core.detector import Memory
from daemon.detectors.burn_rate import BurnRate
from daemon.detectors.evidence.detector import Evidence
from daemon.detectors.new_error import NewError
from daemon.detectors.threshold import Threshold

DetectorSettings = Annotated[BurnRate | Evidence | NewError | Threshold, Field(discriminator="kind")]
"""What `detectors:` in the configuration may hold."""

_MEMORIES: dict[str, TypeAdapter[Memory]] = {
    detector.model_fields["kind"].default: TypeAdapter(detector.memory_type)
    for detector in get_args(get_args(DetectorSettings)[0])
}


def encode_memory(name: str, memory: Memory) -> object:
    """Return *memory* of the detector called *name* as plain JSON values."""
    encoded: object = _MEMORIES[name].dump_python(memory, mode="json")
    return encoded


def decode_memory(name: str, value: object) -> Memory:
    """Return what `encode_memory` wrote. Raises ValueError for a value that is not such a memory."""
    return _MEMORIES[name].validate_python(value)
