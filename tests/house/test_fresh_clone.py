"""A fresh clone works from nothing: make sets up what it needs, says what is missing, and leaves nothing behind."""

import json
from pathlib import Path

import pytest

from tests.house.copies import copy_tree, make
from tests.house.tree import TREE
from tests.requires import requires_make

DEMO_WITH_SET_UP_SECONDS = 180
DEMO_SECONDS = 75


def _python_stub(file: Path, *, version: str, modules: str) -> str:
    """Write a stand-in for python3 that knows its version and whether it has the modules for a new environment."""
    is_new = "true" if version >= "3.11" else "false"
    has_modules = "true" if modules else "false"
    file.write_text(
        "#!/bin/sh\n"
        f'case "$*" in --version) echo Python {version} ;; *version_info*) {is_new} ;; *ensurepip*) {has_modules} ;; '
        "*) exit 9 ;; esac\n",
        encoding="utf-8",
    )
    file.chmod(0o755)
    return str(file)


@requires_make
@pytest.mark.parametrize(
    ("version", "modules", "sentence"),
    [
        ("3.10.13", "venv", "lastgood needs Python 3.11 or newer: "),
        ("3.11.2", "", "has no venv module; on Debian: apt-get install python3-venv"),
    ],
)
def test_make_says_what_python_lacks(tmp_path: Path, version: str, modules: str, sentence: str) -> None:
    stub = _python_stub(tmp_path / "python3", version=version, modules=modules)
    result = make("demo", f"PYTHON={stub}", f"VENV={tmp_path / 'venv'}", cwd=TREE)
    assert result.returncode != 0
    assert sentence in result.stderr


@requires_make
def test_make_says_that_python_is_missing(tmp_path: Path) -> None:
    result = make("demo", "PYTHON=python-nobody-has", f"VENV={tmp_path / 'venv'}", cwd=TREE)
    assert result.returncode != 0
    assert "python-nobody-has was not found" in result.stderr


@requires_make
def test_make_alone_lists_every_target_that_is_documented() -> None:
    listed = {line.split()[0] for line in make(cwd=TREE).stdout.splitlines()}
    assert listed >= {"demo", "test", "quick", "check", "proof", "lock", "conformance-setup"}


@requires_make
@pytest.mark.proof
def test_the_demo_works_in_a_fresh_clone_in_time_and_leaves_nothing_behind(tmp_path: Path) -> None:
    clone = copy_tree(tmp_path / "lastgood")
    empty_caches = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PIP_CACHE_DIR": str(tmp_path / "cache" / "pip")}
    files = _files(clone)
    first = make("demo", "ARGS=--json", cwd=clone, timeout_seconds=DEMO_WITH_SET_UP_SECONDS, variables=empty_caches)
    assert first.returncode == 0, first.stdout + first.stderr
    second = make("demo", "ARGS=--json", cwd=clone, timeout_seconds=DEMO_SECONDS, variables=empty_caches)
    assert second.returncode == 0, second.stdout + second.stderr
    assert isinstance(json.loads(second.stdout), dict)
    assert _files(clone) == files


def _files(clone: Path) -> set[Path]:
    ours = (file.relative_to(clone) for file in clone.rglob("*") if file.is_file())
    return {file for file in ours if file.parts[0] != ".venv" and "__pycache__" not in file.parts}
