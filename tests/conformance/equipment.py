"""What a CLI finds beside itself: the folder of a site, and a curl that reaches the emulator, not the internet."""

import sys
from dataclasses import replace

from tests.conformance.stage import Stage

PAGE = "<h1>hi</h1>\n"
_CURL = '''#!{python}
"""Stands for the system's curl: says how it was called and visits the emulator in place of the internet."""
import http.client, pathlib, sys, urllib.parse

arguments = sys.argv[1:]
print("SHIM curl argv:", *arguments)
url = urllib.parse.urlsplit(arguments[arguments.index("--url") + 1])
headers = dict(arguments[i + 1].split(": ", 1) for i, word in enumerate(arguments) if word == "--header")
connection = http.client.HTTPConnection("127.0.0.1", {port})
connection.request("GET", url.path, headers={{**headers, "Host": url.netloc}})
answer = connection.getresponse()
pathlib.Path({answer!r}).write_text(f"{{answer.status}} {{answer.read().decode()}}")
'''


def with_files(stage: Stage, *, big: bool = False) -> Stage:
    """Return *stage* with a CLI that runs in a folder of a site."""
    folder = stage.cli.home / "site"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    if big:
        (folder / "big.bin").write_bytes(bytes(3_000_000))
    return replace(stage, cli=replace(stage.cli, folder=folder))


def with_curl(stage: Stage) -> Stage:
    """Return *stage* with a CLI that finds a curl of ours, which leaves what it got in the file `answer`."""
    programs = stage.cli.home / "programs"
    programs.mkdir()
    port = int(stage.cli.api_url.rpartition(":")[2])
    answer = str(stage.cli.home / "answer")
    (programs / "curl").write_text(_CURL.format(python=sys.executable, port=port, answer=answer))
    (programs / "curl").chmod(0o755)
    return replace(stage, cli=replace(stage.cli, programs=programs))
