"""Tokens: read again at every use, so that a rotated one needs no restart, and never shown."""

import stat
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

TOKEN_CHARACTERS_MAX = 4096


class TokenUnreadable(OSError):
    """There is no token to use now: nothing may be sent. The message never repeats what the file holds."""

    def __init__(self, message: str, *, is_about_content: bool = False) -> None:
        super().__init__(message)
        self.is_about_content = is_about_content


class Token(Protocol):
    """Where a token comes from. A `VercelTransport` calls it for each request."""

    def __call__(self) -> str:
        """Return the token as it is now. Raises TokenUnreadable."""


class FixedToken:
    """A token of the environment: it stays until the next start."""

    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "FixedToken(**********)"

    def __call__(self) -> str:
        """Return the token. Raises TokenUnreadable when the variable holds something that no token can be."""
        return _checked(self._secret.get_secret_value(), origin="the variable")


class TokenFile:
    """A token in a file of its own.

    A file that is missing, empty or half written gives no token, not the last one: the operator may have taken it away
    to stop us, and a rotation is over by the next poll.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"TokenFile({str(self.path)!r})"

    def __call__(self) -> str:
        """Return what the file holds now, without white space around it. Raises TokenUnreadable."""
        try:
            # Opening a pipe would wait for its other end.
            is_file = stat.S_ISREG(self.path.stat().st_mode)
            content = self._read() if is_file else None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TokenUnreadable(f"the file cannot be read ({reason}); write the token there") from error
        if content is None:
            raise TokenUnreadable("is no file; name a file that holds the token")
        return _checked(content.decode("ascii", errors="replace"), origin="the file")

    def _read(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(TOKEN_CHARACTERS_MAX + 2)

    def is_open_to_others(self) -> bool:
        """Return whether every user of this machine may read the file. Raises OSError."""
        return bool(self.path.stat().st_mode & stat.S_IROTH)


def _checked(text: str, *, origin: str) -> str:
    token = text.strip()
    if not token:
        raise TokenUnreadable(f"{origin} is empty; write the token there", is_about_content=True)
    # The longest sound file ends in a line break, and one more character is read to tell that it is longer.
    if len(text) > TOKEN_CHARACTERS_MAX + 1:
        message = f"{origin} has over {TOKEN_CHARACTERS_MAX} characters; write the token alone"
        raise TokenUnreadable(message, is_about_content=True)
    if not all("!" <= character <= "~" for character in token):
        message = f"{origin} has characters that no token has; write the token alone, on one line"
        raise TokenUnreadable(message, is_about_content=True)
    return token
