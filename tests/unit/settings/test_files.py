"""YAML is read strictly, each key and value with its place; what YAML 1.1 and 1.2 read differently is refused."""

from pathlib import Path

import pytest

from daemon.settings import ConfigError
from daemon.settings.files import (
    BYTES_MAX,
    DEPTH_MAX,
    Mapping,
    Scalar,
    Sequence,
    Unreadable,
    decode_yaml,
    parse_yaml,
    read_content,
)


def value_of(text: str) -> object:
    """Return what `key: TEXT` means; the problem's message when it is refused."""
    root, problems = parse_yaml(f"key: {text}\n", "file")
    if problems:
        assert isinstance(root.entries["key"][1], Unreadable)
        return problems[0].message.partition(" is ")[2].partition(";")[0]
    node = root.entries["key"][1]
    assert isinstance(node, Scalar)
    return node.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("0", 0),
        ("-3", -3),
        ("0.05", 0.05),
        ("5m", "5m"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ('"no"', "no"),
        ("'10:30'", "10:30"),
        ("none", "none"),
        ("", None),
        ("~", None),
        ("null", None),
        ("1" * 18, int("1" * 18)),
        ("1" * 20, "1" * 20),
        ("٥", "٥"),
    ],
)
def test_plain_values_mean_what_all_readers_agree_on(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["yes", "No", "on", "OFF", "y", "True", "FALSE"])
def test_words_that_may_be_booleans_are_refused(text: str) -> None:
    assert value_of(text) == "a yes-or-no to some readers of YAML and a word to others"


@pytest.mark.parametrize("text", ["10:30", "1:2:3", "190:20:30.15"])
def test_numbers_in_base_60_are_refused(text: str) -> None:
    assert value_of(text) == "a number in base 60 to some readers of YAML"


@pytest.mark.parametrize("text", ["1e-2", "1E5", "1.5e3", "1e400"])
def test_numbers_with_an_exponent_are_refused(text: str) -> None:
    assert value_of(text) == "a number to some readers of YAML and text to others"


@pytest.mark.parametrize("text", ["010", "0o17", "0x1F", "0b11", "1_000", ".5", "5.", ".inf", "-.INF", ".nan"])
def test_odd_numbers_are_refused(text: str) -> None:
    assert value_of(text) == "read differently by the versions of YAML"


@pytest.mark.parametrize("text", ["2026-11-02", "2026-11-02 10:00:00"])
def test_dates_are_refused(text: str) -> None:
    assert value_of(text) == "a date to some readers of YAML and text to others"


def test_each_key_and_value_knows_its_place() -> None:
    root, problems = parse_yaml("a:\n  - b: 1\n    ccc:   x\n", "file")
    assert not problems
    items = root.entries["a"][1]
    assert isinstance(items, Sequence)
    first = items.items[0]
    assert isinstance(first, Mapping)
    key_place, node = first.entries["ccc"]
    assert (str(key_place), str(node.place)) == ("file:3:5", "file:3:12")


def test_of_a_key_given_twice_the_first_counts() -> None:
    root, problems = parse_yaml("a: 1\nb: 2\na: 3\n", "file")
    assert [str(problem) for problem in problems] == ["file:3:1: a: is given twice, first in line 1; keep one"]
    node = root.entries["a"][1]
    assert isinstance(node, Scalar)
    assert node.value == 1


def test_nesting_is_bounded_on_both_sides() -> None:
    _, at_the_bound = parse_yaml("a: " + "[" * (DEPTH_MAX - 1) + "1" + "]" * (DEPTH_MAX - 1), "file")
    _, over_the_bound = parse_yaml("a: " + "[" * DEPTH_MAX + "1" + "]" * DEPTH_MAX, "file")
    assert not at_the_bound
    assert [problem.message for problem in over_the_bound] == [
        f"is nested deeper than {DEPTH_MAX} levels, as no setting is; remove brackets or indentation"
    ]


def test_a_hundred_thousand_brackets_do_no_harm() -> None:
    _, problems = parse_yaml("a: " + "[" * 100_000, "file")
    assert len(problems) == 1


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as opened:
        opened.truncate(BYTES_MAX + 1)
    with pytest.raises(ConfigError, match=f"more than the {BYTES_MAX} bytes"):
        read_content(file)
    with file.open("wb") as opened:
        opened.truncate(BYTES_MAX)
    assert len(read_content(file)) == BYTES_MAX


def test_a_byte_order_mark_is_no_mistake() -> None:
    root, problems = decode_yaml(b"\xef\xbb\xbfweb: {port: 1}\n", "file")
    assert not problems
    assert list(root.entries) == ["web"]
