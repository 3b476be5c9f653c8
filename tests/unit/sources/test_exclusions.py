"""What is left out: which routes a pattern means, which statuses are errors, and which patterns are refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from daemon.sources.exclusions import NOTHING_EXCLUDED, Exclusions, RoutePattern, ServerError


@pytest.mark.parametrize(
    ("pattern", "route", "is_left_out"),
    [
        ("/api/health", "/api/health", True),
        ("/api/health", "/api/health/", False),
        ("/api/health", "/api", False),
        ("/blog/[slug]", "/blog/[slug]", True),
        ("/blog/[slug]", "/blog/s", False),
        ("/a.b", "/axb", False),
        ("/api/*", "/api/a/b", True),
        ("/api/*", "/api/", True),
        ("/api/*", "/api", False),
        ("*.json", "/a.json", True),
        ("*.json", "/a.jsonx", False),
        ("/a*a", "/a", False),
        ("/a*a", "/aa", True),
        ("/a*b*c", "/axbxc", True),
        ("/a*b*c", "/axcxb", False),
        ("/a*bc*c", "/abc", False),
        ("/a**c", "/ac", True),
        ("/A", "/a", False),
    ],
)
def test_a_star_is_any_text_and_everything_else_is_itself(pattern: str, route: str, is_left_out: bool) -> None:
    assert Exclusions(routes=("/other", pattern)).leave_out(route) is is_left_out


def test_nothing_is_excluded_by_nothing() -> None:
    assert not NOTHING_EXCLUDED.leave_out("")
    assert not NOTHING_EXCLUDED.leave_out("/")


def test_many_stars_are_matched_without_trying_every_way() -> None:
    pattern = Exclusions(routes=("*a" * 100,))
    assert not pattern.leave_out("a" * 90 + "b" * 110)
    assert pattern.leave_out("a" * 110)


@pytest.mark.parametrize(
    ("status", "is_error"), [(499, False), (500, True), (501, False), (504, True), (599, True), (600, False)]
)
def test_an_excluded_status_is_no_error_and_every_other_from_500_to_599_is(status: int, is_error: bool) -> None:
    assert Exclusions(statuses=(501, 505)).is_error(status) is is_error


@pytest.mark.parametrize("pattern", ["", "*", "***", "/a b", "/\n", "/" + 200 * "a"])
def test_a_pattern_that_is_no_route_or_every_route_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(RoutePattern).validate_python(pattern)
    assert TypeAdapter(RoutePattern).validate_python("/*") == "/*"


@pytest.mark.parametrize(("status", "is_one"), [(499, False), (500, True), (599, True), (600, False)])
def test_only_a_status_of_a_servers_error_can_be_excluded(status: int, is_one: bool) -> None:
    if is_one:
        assert TypeAdapter(ServerError).validate_python(status) == status
        return
    with pytest.raises(ValidationError, match=f"{status} is no status of a server's error"):
        TypeAdapter(ServerError).validate_python(status)
