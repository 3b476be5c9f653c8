"""The diagram in the documentation is the transition table."""

from tests.house.state_diagram import DOCUMENT, replace_in


def test_the_documented_diagram_is_the_transition_table() -> None:
    text = DOCUMENT.read_text()
    assert replace_in(text) == text, "run `.venv/bin/python -m tests.house.state_diagram`"
