"""Nothing in the repository ties it to one machine, one package index or one package manager's leavings."""

import re
from pathlib import Path

import pytest

from tests.house.tree import TREE, project_files

# Written in pieces, so that this file does not hold what it refuses.
_MACHINE_PATHS = [f"/{name}/" for name in ("work", "root")]
_INDEX_HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
_LEAVINGS = {"node_modules", "uv.lock", "poetry.lock", "pylock.toml", "package-lock.json", "yarn.lock", ".DS_Store"}
_LOCKS = [Path("requirements.lock"), Path("requirements-dev.lock"), Path("requirements-build.lock")]


def machine_ties(text: str) -> list[str]:
    """Return what in *text* names a folder of one machine or the host of a package index."""
    found = [path for path in _MACHINE_PATHS if re.search(rf"(?<![\w.~-]){path}", text)]
    return found + [host for host in _INDEX_HOSTS if host in text]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    broken = {}
    for file in project_files():
        text = (TREE / file).read_bytes().decode("utf-8", "ignore")
        if found := machine_ties(text):
            broken[str(file)] = found
    assert not broken


def test_no_file_is_a_leaving_of_a_package_manager() -> None:
    assert not [str(file) for file in project_files() if _LEAVINGS & set(file.parts)]


@pytest.mark.parametrize("lock", _LOCKS, ids=str)
def test_locks_hold_hashes_and_no_address(lock: Path) -> None:
    text = (TREE / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^[a-z0-9][^\s=]*==\S+", text, flags=re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(pins) == len(entries) > 0
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_development_lock_holds_the_same_releases_as_the_others() -> None:
    runtime, development, build = (
        set(re.findall(r"^([a-z0-9][^\s=]*==\S+)", (TREE / lock).read_text(encoding="utf-8"), flags=re.MULTILINE))
        for lock in _LOCKS
    )
    assert runtime | build <= development


@pytest.mark.parametrize("name", ["work", "root"])
def test_a_planted_path_is_found(name: str) -> None:
    assert machine_ties(f"see /{name}/main")
    assert machine_ties(f'"/{name}/"')
    assert not machine_ties(f"https://example.com/{name}/")
