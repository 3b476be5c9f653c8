"""The incident's state diagram in docs/architecture.md, generated from the transition table.

`python -m tests.house.state_diagram` writes it into the document.
"""

from pathlib import Path

from daemon.core.incident import TRANSITIONS, State

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"
BEGIN, END = (
    "<!-- state diagram: generated, see tests/house/state_diagram.py -->\n",
    "<!-- end of the state diagram -->\n",
)


def render() -> str:
    """Return the diagram as Mermaid, between its marks."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> detected"]
    for source in State:
        for target in State:
            triggers = [str(key[1]) for key, value in TRANSITIONS.items() if key[0] is source and value is target]
            if triggers:
                lines.append(f"    {source} --> {target}: {', '.join(triggers)}")
    lines += [f"    {state} --> [*]" for state in State if state.is_terminal]
    return f"{BEGIN}{chr(10).join(lines)}\n```\n{END}"


def replace_in(text: str) -> str:
    """Return *text* with the diagram between its marks made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return before + render() + after


if __name__ == "__main__":
    DOCUMENT.write_text(replace_in(DOCUMENT.read_text()))
