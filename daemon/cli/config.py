"""Loading the configuration on the command line: every mistake is told, and the exit status is 2."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import typer

from daemon.settings import ConfigError, Settings, TokenUnreadable, load

CONFIG_HELP = "The YAML configuration file."


def load_or_exit(path: Path, *, checks_tokens: bool = False) -> Settings:
    """Return the settings of *path*; print every problem and exit with 2 when there is one, else print warnings.

    Without *checks_tokens* it does not matter whether the caller may read them.
    """
    try:
        loaded = load(path, os.environ, checks_tokens=checks_tokens)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for warning in loaded.warnings if checks_tokens else ():
        typer.echo(f"warning: {warning}", err=True)
    return loaded.settings


def tokens_of(settings: Settings) -> Callable[[], list[str]]:
    """Return what the log must never show: the tokens, as they are at the moment of asking."""

    def tokens() -> list[str]:
        found = []
        for token in (settings.vercel.token_to_read, settings.vercel.token_to_act):
            with suppress(TokenUnreadable):
                found.append(token())
        return found

    return tokens
