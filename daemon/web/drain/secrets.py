"""The secrets that drains sign with: read again whenever their files change, so that a rotated one needs no restart."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SECRETS_MAX = 4
"""Of one file: the one that is in use, and those before and after it while they are rotated."""
_FILE_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Secret:
    """What one drain signs with. `stream` names its file."""

    stream: str
    value: bytes

    def __repr__(self) -> str:
        return f"Secret({self.stream!r}, **********)"


class SecretFiles:
    """Files of secrets, one a line. A file that cannot be used has none, and `trouble` says why."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.trouble = ""
        self._paths = tuple(paths)
        self._stamps: dict[Path, tuple[int, ...]] = {}
        self._secrets: dict[Path, tuple[Secret, ...]] = {}
        self._troubles: dict[Path, str] = {}

    def __call__(self) -> Sequence[Secret]:
        """Return the secrets as they are now."""
        for path in self._paths:
            stamp = _stamp(path)
            if self._stamps.get(path) != stamp:
                self._stamps[path] = stamp
                self._secrets[path], self._troubles[path] = _read(path)
        self.trouble = "; ".join(one for one in self._troubles.values() if one)
        return [secret for path in self._paths for secret in self._secrets[path]]

    def texts(self) -> list[str]:
        """Return what no log line may show."""
        return [one.value.decode(errors="replace") for one in self()]


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes with the file's content; the same for ever where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size


def _read(path: Path) -> tuple[tuple[Secret, ...], str]:
    """Return the secrets of *path*, and what is wrong with it. The latter never repeats what the file holds."""
    try:
        # Opening a pipe would wait for its other end.
        if not path.is_file():
            return (), f"{path} is no file; write the drain's secret there"
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        return (), f"{path} cannot be read ({error.strerror or type(error).__name__}); write the drain's secret there"
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines:
        return (), f"{path} is empty; write the drain's secret there"
    if len(content) > _FILE_BYTES_MAX or len(lines) > SECRETS_MAX:
        return (), f"{path} is too long; write at most {SECRETS_MAX} secrets there, one a line, and nothing else"
    return tuple(Secret(path.name, line) for line in lines), ""


class SignatureCheck:
    """Finds out, while a body comes in, whose secret it was signed with.

    Source: Vercel docs, Drains, Security: `x-vercel-signature` is the hex HMAC-SHA1 of the raw body.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._codes = [(one.stream, hmac.new(one.value, digestmod=hashlib.sha1)) for one in secrets]

    def add(self, chunk: bytes) -> None:
        """Take the next chunk of the raw body."""
        for _, code in self._codes:
            code.update(chunk)

    def stream_of(self, signature: bytes) -> str | None:
        """Return the stream whose secret made *signature*; None: nobody's did. Takes the same time for each."""
        found = None
        for stream, code in self._codes:
            if hmac.compare_digest(code.hexdigest().encode(), signature):
                found = stream
        return found
