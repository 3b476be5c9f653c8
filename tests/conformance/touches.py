"""Which client got an answer of which route in which test: what docs/emulator.md calls proved.

A run of whole files writes what it saw to the file of LASTGOOD_TOUCHES, and `python -m tests.conformance.fidelity FILE`
takes it over into the index. Without that variable a test is held to the index: it touches what stands there under its
name, and nothing that stands nowhere in it.
"""

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.emulator.call import Route
from daemon.emulator.routes import API_ROUTES
from tests.conformance.recording import RECORDINGS
from tests.requires import VERCEL_CLI_PACKAGES, VERCEL_SDK_VERSION

ENVIRONMENT_VARIABLE = "LASTGOOD_TOUCHES"
INDEX = RECORDINGS / "index" / "touches.yaml"
CLIENTS: Mapping[str, str] = {
    **{f"CLI {version}": f"vercel {version} " for version in VERCEL_CLI_PACKAGES},
    "SDK": f"speakeasy-sdk/typescript {VERCEL_SDK_VERSION} ",
}
"""How each client's User-Agent begins."""


class Touch(NamedTuple):
    """A route, by its name in the documents, that answered a client with something other than an error."""

    route: str
    client: str


class Touches:
    """What the running test has touched. One object for all tests: they run one after the other."""

    def __init__(self) -> None:
        self.seen: set[Touch] = set()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return *app*, watched."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            client = client_of(Headers(scope=scope).get("user-agent", ""))
            route = route_of(scope["method"], scope["path"])

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start" and message["status"] < 400 and client and route:
                    self.seen.add(Touch(name_of(route), client))
                await send(message)

            await app(scope, receive, note)

        return watched


TOUCHES = Touches()


def client_of(user_agent: str) -> str | None:
    """Return the client of CLIENTS that calls itself *user_agent*; None for any other program."""
    return next((name for name, beginning in CLIENTS.items() if user_agent.startswith(beginning)), None)


def route_of(method: str, path: str) -> Route | None:
    """Return the route of the emulator that answers; None when none does."""
    return next((route for route in API_ROUTES if method in route.methods and route.pattern.fullmatch(path)), None)


@cache
def name_of(route: Route) -> str:
    """Return the name of *route* in the documents: `GET /{v9,v10}/projects/{project}/env`."""
    path = re.sub(r"\(\?P<(\w+)>\[\^/\]\+\)", r"{\1}", route.pattern.pattern)
    path = path.replace(r"(?:v\d{1,2})", "v*")
    path = re.sub(r"\(\?:(\w+)\)", r"\1", path)
    path = re.sub(r"\(\?:([\w|]+)\)", lambda found: "{" + found[1].replace("|", ",") + "}", path)
    methods, plain = " ".join(sorted(route.methods)), re.sub(r"\\(.)", r"\1", path)
    return f"{methods} {plain}"


def route_names() -> list[str]:
    """Return the name of every route that the emulator has."""
    return [name_of(route) for route in API_ROUTES]


@cache
def load_index(file: Path = INDEX) -> Mapping[Touch, str]:
    """Return, by what was touched, the test that the index names for it."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {Touch(route, client): test for route, tests in data.items() for client, test in tests.items()}


def settle(test: str, *, write: Callable[[str], object] | None = None) -> list[str]:
    """Hold what *test* has touched against the index and return how the two differ; *write* notes it down instead."""
    seen = TOUCHES.seen
    if write is not None:
        write("".join(f"{touch.route}\t{touch.client}\t{test}\n" for touch in sorted(seen)))
        return []
    index = load_index()
    found = [
        f"{touch.client} was answered by {touch.route}, which the index lacks" for touch in sorted(seen - set(index))
    ]
    missing = sorted(touch for touch, proof in index.items() if proof == test and touch not in seen)
    return found + [f"the index says that {touch.client} was answered by {touch.route} here" for touch in missing]


def writer() -> Callable[[str], object] | None:
    """Return what notes touches down in the file that the environment names; None when it names none."""
    name = os.environ.get(ENVIRONMENT_VARIABLE)
    if not name:
        return None

    def append(text: str) -> None:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text)

    return append
