"""Loading the configuration on the command line: every mistake is told, and the exit status is 2."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import typer

from daemon.settings import ConfigError, Loaded, Settings, TokenUnreadable, load
from daemon.settings.tokens import Token, TokenFile

CONFIG_HELP = "The YAML configuration file."
CONFIG_DEFAULT = Path("/etc/lastgood/lastgood.yaml")
"""Where the systemd unit and the image have it: there the commands that a page names work as they stand."""


def load_or_exit(path: Path, *, checks_tokens: bool = False) -> Settings:
    """Return the settings of *path*; print every problem and exit with 2 when there is one, else print warnings.

    Without *checks_tokens* it does not matter whether the caller may read them.
    """
    return loaded_or_exit(path, checks_tokens=checks_tokens).settings


def loaded_or_exit(path: Path, *, checks_tokens: bool) -> Loaded:
    """Do the same, and return all that is known of them."""
    try:
        loaded = load(path, os.environ, checks_tokens=checks_tokens)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for warning in loaded.warnings if checks_tokens else ():
        typer.echo(f"warning: {warning}", err=True)
    return loaded


def tokens_of(settings: Settings) -> Callable[[], list[str]]:
    """Return what the log must never show: the tokens, as they are at the moment of asking and were before that."""
    hidden = [_Hidden(token) for token in (settings.vercel.token_to_read, settings.vercel.token_to_act)]
    return lambda: [value for one in hidden for value in one.values()]


class _Hidden:
    """The values of one token. Every log line asks for them, so its file is read only when it has changed.

    The last value is hidden beside the newest: what is logged may still be about the token that was rotated.
    """

    def __init__(self, token: Token) -> None:
        self._token = token
        self._stamp: tuple[int, ...] | None = None
        self._values: deque[str] = deque(maxlen=2)

    def values(self) -> Sequence[str]:
        stamp = self._newest_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            with suppress(TokenUnreadable):
                value = self._token()
                if value not in self._values:
                    self._values.append(value)
        return tuple(self._values)

    def _newest_stamp(self) -> tuple[int, ...]:
        """Return what changes with the file's content; the same for ever where there is no file."""
        if not isinstance(self._token, TokenFile):
            return (0,)
        try:
            found = self._token.path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size
