"""Every form of a batch is decoded to the same entries, wherever it is cut; what is no JSON is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.web.drain.entries import (
    ENTRY_BYTES_MAX,
    Entry,
    Environment,
    Fragment,
    Origin,
    PathType,
    Slice,
    Torn,
    Unpacker,
)
from tests.unit.web.drain.receiving import an_entry, lines, requests

TRICKY = [
    an_entry("1", message='},{"x":1}'),
    an_entry("2", message='{"a":[{"b":1},{"c":2}]}', extra={"list": [{"a": {}}, {"b": {}}, {"c": [{}, {}]}]}),
    an_entry("3", message='quote \\" and }\n{ and \\u007d,{'),
    an_entry("4", path="/[slug]"),
]


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def slices(body: bytes, *, size: int = 1_000_000) -> list[Slice]:
    unpacker = Unpacker()
    found = [unpacker.feed(piece) for piece in cut(body, size)]
    return [one for one in (*found, unpacker.finish()) if one is not None]


def unpacked(body: bytes, *, size: int = 1_000_000) -> list[Entry]:
    return [entry for one in slices(body, size=size) for entry in one.entries]


def ids(body: bytes, *, size: int = 1_000_000) -> list[str | None]:
    return [one.request_id for one in unpacked(body, size=size)]


def unusable(body: bytes) -> list[Fragment | None]:
    return [fragment for one in slices(body) for fragment in one.unusable]


def forms(entries: list[Any]) -> dict[str, bytes]:
    """The forms in which a batch may come."""
    texts = [json.dumps(one) for one in entries]
    pretty = [json.dumps(one, indent=2) for one in entries]
    return {
        "array": json.dumps(entries).encode(),
        "compact array": json.dumps(entries, separators=(",", ":")).encode(),
        "pretty array": json.dumps(entries, indent=2).encode(),
        "lines": lines(entries),
        "lines without the last break": "\n".join(texts).encode(),
        "lines of Windows": "\r\n".join(texts).encode(),
        "blank lines between": "\n\n".join(texts).encode(),
        "nothing between": "".join(texts).encode(),
        "commas between": ",\n".join(texts).encode(),
        "commas alone": ",".join(texts).encode(),
        "pretty objects": "\n".join(pretty).encode(),
        "pretty objects with commas": ",\n".join(pretty).encode(),
        "white space around": b"  \n" + lines(entries) + b"\n  ",
        "white space around an array": b"\n [" + b" , ".join(text.encode() for text in texts) + b" ]\n",
    }


FORMS = list(forms([]))


@pytest.mark.parametrize("size", [1_000_000, 700, 64, 7])
@pytest.mark.parametrize("form", FORMS)
def test_a_batch_is_the_same_in_every_form_and_wherever_it_is_cut(form: str, size: int) -> None:
    body = forms([*TRICKY, *requests(5, first=10)])[form]
    assert ids(body, size=size) == ["1", "2", "3", "4", *(f"iad1::{number}" for number in range(10, 15))]


@pytest.mark.parametrize("form", FORMS)
def test_one_entry_alone_is_a_batch(form: str) -> None:
    assert ids(forms([an_entry("only")])[form]) == ["only"]


@pytest.mark.parametrize("body", [b"", b"\n", b"  ", b"[]", b"[ ]", b" [\n] "])
@pytest.mark.parametrize("size", [1, 100])
def test_a_batch_may_be_empty(body: bytes, size: int) -> None:
    assert slices(body, size=size) == []


@pytest.mark.slow
@given(
    texts=st.lists(st.text(alphabet='{}[],:"\\ \nab', max_size=12), min_size=1, max_size=6),
    size=st.integers(1, 40),
    is_array=st.booleans(),
    has_spaces=st.booleans(),
)
def test_no_text_in_an_entry_is_taken_for_the_end_of_one(
    *, texts: list[str], size: int, is_array: bool, has_spaces: bool
) -> None:
    entries = [
        {
            "projectId": "p",
            "deploymentId": "d",
            "timestamp": 1,
            "requestId": str(number),
            "message": text,
            "x": [{}, {}],
        }
        for number, text in enumerate(texts)
    ]
    separators = (", ", ": ") if has_spaces else (",", ":")
    body = json.dumps(entries, separators=separators).encode() if is_array else lines(entries)
    assert ids(body, size=size) == [str(number) for number in range(len(texts))]


def test_a_large_batch_comes_in_slices_and_little_of_it_is_held() -> None:
    body = lines(requests(2000))
    found = slices(body, size=64 * 1024)
    assert sum(len(one.entries) for one in found) == 2000
    assert max(len(one.entries) for one in found) < 250


@pytest.mark.parametrize(
    "body",
    [
        lines(requests(3))[:-40],
        b"[" + lines(requests(1)),
        json.dumps(requests(3)).encode()[:-1],
        json.dumps(requests(3)).encode() + b"]",
        json.dumps(requests(3)).encode() + b"x",
        json.dumps(requests(3)).encode()[:-1] + b"}",
        b'{"id": ',
        b"<html>502 Bad Gateway</html>",
        b"null garbage",
        b"\xff\xfe\x00",
        b"\x00",
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=[
        "lines",
        "open array",
        "array",
        "two ends",
        "rest",
        "another end",
        "key",
        "html",
        "words",
        "utf-16",
        "zero",
        "too deep",
    ],
)
@pytest.mark.parametrize("size", [100, 1_000_000])
def test_what_is_torn_is_told(body: bytes, size: int) -> None:
    with pytest.raises(Torn):
        slices(body, size=size)


def test_what_came_before_a_tear_is_given() -> None:
    unpacker = Unpacker()
    found = unpacker.feed(lines(requests(50)) + b'{"id": "torn')
    assert found is not None
    assert len(found.entries) == 50
    with pytest.raises(Torn):
        unpacker.finish()


@pytest.mark.parametrize("comma", [b"", b","])
def test_much_white_space_between_entries_takes_no_time(comma: bytes) -> None:
    space = b" " * 500_000
    body = space.join([lines([an_entry("1")]), comma, lines([an_entry("2")]), b""])
    assert ids(body) == ["1", "2"]


@pytest.mark.parametrize("kilobytes", [10, 50, 200, 600, 2000])
@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_long_message_that_looks_like_many_entries_holds_nothing_up(form: str, kilobytes: int) -> None:
    message = '{"a":1},{"b":2}\n' * (kilobytes * 1024 // 16)
    entries = [an_entry("1"), an_entry("2"), an_entry("3", message=message), an_entry("4")]
    assert ids(forms(entries)[form], size=256 * 1024) == ["1", "2", "3", "4"]


def test_an_entry_without_end_is_not_waited_for() -> None:
    unpacker = Unpacker()
    unpacker.feed(b'{"message": "')
    assert unpacker.feed(b"x" * (ENTRY_BYTES_MAX - 20)) is None
    with pytest.raises(Torn, match="no entry ends within"):
        unpacker.feed(b"x" * 20)


def test_only_what_counting_needs_is_read() -> None:
    [entry] = unpacked(lines([an_entry(at_ms=1_700_000_000_123, status=503)]))
    assert (entry.project_id, entry.deployment_id, entry.timestamp) == ("prj_shop", "dpl_1", 1_700_000_000_123)
    assert (entry.source, entry.environment, entry.path) == (Origin.LAMBDA, Environment.PRODUCTION, "/cart")
    assert entry.proxy is not None
    assert (entry.proxy.status_code, entry.proxy.path_type) == (503, PathType.FUNCTION)
    assert (entry.proxy.waf_action, entry.proxy.vercel_id) == (None, "fra1::iad1::1")


def test_words_that_nobody_knows_yet_are_no_trouble() -> None:
    [entry] = unpacked(lines([an_entry(source="quantum", environment="staging", proxy={"pathType": "wormhole"})]))
    assert (entry.source, entry.environment) == (Origin.OTHER, Environment.OTHER)
    assert entry.proxy is not None
    assert entry.proxy.path_type is PathType.OTHER


def test_what_may_be_missing_may_be_null() -> None:
    nothing = dict.fromkeys(("source", "environment", "requestId", "path", "statusCode", "proxy"))
    [entry] = unpacked(lines([{"projectId": "p", "deploymentId": "d", "timestamp": 1, **nothing}]))
    assert entry == Entry("p", "d", 1)


WRONG = [
    {"timestamp": "yesterday"},
    {"timestamp": None},
    {"timestamp": 1.5},
    {"statusCode": "500"},
    {"proxy": {"statusCode": "500"}},
    {"proxy": "none"},
    {"requestId": 7},
    {"requestId": "x" * 257},
    {"deploymentId": ["dpl_1"]},
    {"path": {"route": "/"}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("form", ["array", "lines"])
def test_an_entry_of_another_form_spoils_no_other(wrong: dict[str, Any], form: str) -> None:
    entries = [an_entry("1"), an_entry("2") | wrong, an_entry("3")]
    body = forms(entries)[form]
    assert ids(body) == ["1", "3"]
    assert unusable(body) == [Fragment("prj_shop", Environment.PRODUCTION)]


@pytest.mark.parametrize("odd", [b"7", b'"text"', b"null", b"[1]", b'{"projectId": 5}', b"{}"])
def test_what_tells_nothing_of_itself_is_unusable_too(odd: bytes) -> None:
    body = lines([an_entry("1")]) + odd + b"\n" + lines([an_entry("2")])
    assert ids(body) == ["1", "2"]
    assert unusable(body) == [None]


def test_an_id_at_its_bound_is_one() -> None:
    assert ids(lines([an_entry("x" * 256, proxy={"vercelId": "y" * 256})])) == ["x" * 256]


def test_a_wrong_entry_within_torn_text_is_torn() -> None:
    with pytest.raises(Torn):
        slices(lines([an_entry("1") | {"timestamp": "x"}]) + b'{"torn": ')
