"""The runner of the long runs reports every part truthfully: passed, failed, over budget."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.house.tree import TREE

PASSES = "import pytest\n@pytest.mark.proof\ndef test_passes(): ...\ndef test_is_quick(): assert False\n"
FAILS = "import pytest\n@pytest.mark.proof\ndef test_fails(): assert False\n"
HANGS = "import pytest, threading\n@pytest.mark.proof\ndef test_hangs(): threading.Event().wait(600)\n"


@pytest.fixture(scope="module")
def proof() -> ModuleType:
    """Load `.ci/proof.py`, which lies in no package."""
    spec = importlib.util.spec_from_file_location("lastgood_proof", TREE / ".ci" / "proof.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while they are made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_shows_minutes_and_result_of_each_part_and_sums_up(proof: ModuleType) -> None:
    outcomes = [
        proof.Outcome(part="tests/a.py", minutes=1.25, result="passed"),
        proof.Outcome(part="tests/long_name.py", minutes=2.5, result="FAILED (pytest exit 1)"),
    ]
    assert proof.table(outcomes, budget_minutes=45.0).splitlines() == [
        "part               | minutes | result",
        "-------------------|---------|-------",
        "tests/a.py         |    1.25 | passed",
        "tests/long_name.py |    2.50 | FAILED (pytest exit 1)",
        "all parts          |    3.75 | budget 45",
        "",
        "proof: 1 passed, 1 failed",
    ]


@pytest.mark.slow
@pytest.mark.proof
def test_a_part_that_passes_fails_or_hangs_is_called_so(
    proof: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"test_1_passes": PASSES, "test_2_fails": FAILS, "test_3_hangs": HANGS}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert proof.main(["--tree", str(tmp_path), "--budget-minutes", "0.25", "."]) == 1
    printed = capfd.readouterr().out
    assert "== proof 1 of 3: " in printed
    rows = [line.rpartition(" | ")[2] for line in printed.splitlines() if "test_" in line and " | " in line]
    assert rows == ["passed", "FAILED (pytest exit 1)", "FAILED (over budget)"]


@pytest.mark.slow
def test_nothing_to_prove_is_no_success(proof: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "test_quick.py").write_text("def test_is_quick(): ...\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="collecting the parts failed"):
        proof.main(["--tree", str(tmp_path), "."])
