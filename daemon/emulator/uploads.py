"""Files that clients upload before they ask for a build of them, by the SHA-1 of their content."""

import hashlib
from collections.abc import Iterable

from daemon.emulator.errors import bad_request

CONTENT_KEPT_BYTES = 32_000_000


class Uploads:
    """Uploaded files. Invariant: at most 32 MB of content is kept; of what came later only the SHA-1 is known."""

    def __init__(self) -> None:
        """Begin empty."""
        self._contents: dict[str, bytes | None] = {}
        self._kept_bytes = 0

    def add(self, content: bytes, *, digest: str | None = None) -> str:
        """Keep *content* and return its SHA-1; a *digest* that is another one is a 400."""
        sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        if digest is not None and digest.lower() != sha:
            raise bad_request(f"The SHA-1 of the uploaded file is {sha}, not {digest}.")
        if sha not in self._contents:
            is_kept = self._kept_bytes + len(content) <= CONTENT_KEPT_BYTES
            self._kept_bytes += len(content) if is_kept else 0
            self._contents[sha] = content if is_kept else None
        return sha

    def missing(self, shas: Iterable[str]) -> list[str]:
        """Return those of *shas* that nobody uploaded, each once, in their order."""
        return [sha for sha in dict.fromkeys(shas) if sha not in self._contents]

    def content(self, sha: str) -> bytes | None:
        """Return the content of a file; None when it is unknown or was too much to keep."""
        return self._contents.get(sha)
