"""Each bad configuration, a file named for its mistake, is refused with the words on its first line; good ones load."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.settings import ConfigError, load, load_settings
from daemon.settings.files import Mapping, Node, Scalar, Sequence, parse_yaml
from daemon.settings.model import Settings
from daemon.settings.shape import NOTHING, Reader

HERE = Path(__file__).parent
TREE = HERE.parents[1]
EXAMPLE = TREE / "config" / "lastgood.example.yaml"
BAD = sorted(HERE.glob("*.bad.yaml"))
GOOD = sorted(HERE.glob("*.good.yaml"))
TOKEN = "vcp_NeverRepeatMeAnywhere0123456789"
READ_TOKEN = "LASTGOOD_VERCEL__READ_TOKEN"


def notes(file: Path, word: str) -> list[str]:
    """Return what the comments that begin with *word* say."""
    return re.findall(rf"^# {word}: ?(.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


def env_of(file: Path) -> dict[str, str]:
    """Return a token to read with and what the file's own comments add (`# env: NAME=VALUE`) or remove (`NAME-`)."""
    env = {READ_TOKEN: TOKEN}
    for note in notes(file, "env"):
        name, _, value = note.partition("=")
        if name.endswith("-"):
            del env[name[:-1]]
        else:
            env[name] = value
    return env


def without_file(problem: object, file: Path) -> str:
    return str(problem).removeprefix(f"{file}:").strip()


def refusal_of(file: Path, env: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as refusal:
        load_settings(file, env)
    return refusal.value


def refusal_or_settings(file: Path, env: dict[str, str], *, checks_tokens: bool) -> ConfigError | Settings:
    try:
        return load(file, env, checks_tokens=checks_tokens).settings
    except ConfigError as error:
        return error


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.name.removesuffix(".bad.yaml"))
def test_I_29_invalid_configuration_is_refused_with_every_mistake_at_its_place(file: Path) -> None:
    expected = notes(file, "expects")
    assert expected, "the first line says what is expected"
    problems = refusal_of(file, env_of(file)).problems
    assert [without_file(problem, file) for problem in problems] == expected
    assert all(re.search(r"[;?] ?", problem.message) for problem in problems), "each says what to write instead"


def test_there_are_bad_configurations_enough() -> None:
    assert len(BAD) >= 20


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.name.removesuffix(".good.yaml"))
def test_good_configurations_load_with_the_warnings_that_they_name(file: Path) -> None:
    warnings = load(file, env_of(file)).warnings
    assert [without_file(warning, file) for warning in warnings] == notes(file, "warns")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["many-mistakes-at-once", "token-in-the-file", "empty"])
def test_the_command_refuses_in_the_same_words_with_status_2(name: str) -> None:
    file = HERE / f"{name}.bad.yaml"
    result = run_command("check-config", str(file), env=env_of(file))
    assert result.returncode == 2
    assert [without_file(line, file) for line in result.stderr.splitlines()] == notes(file, "expects")
    assert result.stdout == ""


@pytest.mark.slow
def test_the_command_shows_what_each_project_gets_with_status_0() -> None:
    file = HERE / "everything-that-warns.good.yaml"
    result = run_command("check-config", "--config", str(file), env=env_of(file))
    assert result.returncode == 0
    assert result.stderr.splitlines() == [f"warning: {file}:{note}" for note in notes(file, "warns")]
    assert result.stdout.startswith("ok: 1 project, 3 warnings\n")
    assert re.search(r"^shop +observe +request_logs +evidence +[0-9a-f]{12}$", result.stdout, flags=re.MULTILINE)


def run_command(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LASTGOOD_")}
    return subprocess.run(
        [sys.executable, "-m", "daemon", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=TREE,
        env=inherited | env,
        timeout=60,
    )


def test_a_missing_configuration_is_refused(tmp_path: Path) -> None:
    refusal = refusal_of(tmp_path / "lastgood.yaml", {})
    assert str(refusal) == (
        f"{tmp_path}/lastgood.yaml: cannot be read (No such file or directory); name a file that this user may read"
    )


def test_a_directory_in_place_of_the_configuration_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (Is a directory)" in str(refusal_of(tmp_path, {}))


def test_a_file_that_is_no_text_is_refused_at_its_first_bad_byte(tmp_path: Path) -> None:
    file = tmp_path / "lastgood.yaml"
    file.write_bytes(b"projects:\n  - name: \xff\n")
    assert str(refusal_of(file, {})) == f"{file}:2:11: is not UTF-8 text; save the file as UTF-8"


# The example


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example with token files that exist here."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for name in ("token_read", "token_act"):
        token = tmp_path / name
        token.write_text(f"{TOKEN}\n", encoding="utf-8")
        token.chmod(0o600)
        text = text.replace(f"/run/credentials/lastgood.service/{name}", str(token))
    file = tmp_path / "lastgood.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_example_loads_without_a_problem_or_a_warning(example: Path) -> None:
    loaded = load(example, {})
    assert loaded.warnings == ()
    assert loaded.settings.vercel.token_to_act() == TOKEN


def keys_of(node: Node) -> set[str]:
    """Return the ways to all keys of the tree, each list's entries by their kind."""
    if isinstance(node, Sequence):
        return {key for item in node.items for key in keys_of(item)}
    if not isinstance(node, Mapping):
        return set()
    kind = node.entries["kind"][1].text + "." if "kind" in node.entries else ""
    return {
        kind + way for key, (_, inner) in node.entries.items() for way in {key, *(f"{key}.{x}" for x in keys_of(inner))}
    }


def known_keys() -> set[str]:
    """Return the ways to every key of the model as docs/configuration.md shows them."""
    document = (TREE / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys: set[str] = set()
    section = ""
    for line in document.splitlines():
        if heading := re.match(r"##+ `([a-z_.]+)`(?:, `kind: (\w+)`)?", line):
            section = ".".join(part for part in heading.groups() if part)
        elif nested := re.match(r"Each of its `(\w+)`:", line):
            section = f"{section}.{nested[1]}"
        elif (row := re.match(r"\| `(\w+)`", line)) and "(variable" not in line:
            keys.add(f"{section}.{row[1]}")
    return keys


def test_the_example_shows_every_key() -> None:
    root, problems = parse_yaml(EXAMPLE.read_text(encoding="utf-8"), "example")
    assert not problems
    assert len(known_keys()) > 40
    # A project sets keys of `defaults` again, such as those that cannot stand beside their opposite there.
    shown = keys_of(root)
    assert known_keys() <= shown | {re.sub("^projects", "defaults", key) for key in shown}


def test_the_example_shows_each_default_or_says_otherwise() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    root, _ = parse_yaml(text, "example")
    # Of the projects none has a default, and the second source is there for its keys.
    shown = Reader().read_section(root, Settings, ())
    assert shown is not NOTHING
    standard = Settings(projects=({"name": "shop"},)).model_dump(mode="python", exclude={"projects"})
    wrong = [
        f"{section}.{key}"
        for section, values in standard.items()
        for key, default in values.items()
        if (value := shown[section].get(key)) != default
        and not isinstance(value, list)
        and f"{section}.{key}" in known_keys()
        and not says_otherwise(text, root.entries[section][1].entries[key][0].line)
    ]
    assert not wrong


def test_the_kinds_in_the_example_have_their_defaults() -> None:
    shown = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["defaults"]
    needed = {"prometheus": ("url", "requests", "errors")}
    bare = {
        key: [{name: one[name] for name in ("kind", *needed.get(one["kind"], ()))} for one in shown[key]]
        for key in ("sources", "detectors", "guardrails")
    }
    written = Settings.model_validate(
        {"defaults": load(EXAMPLE, {}, checks_tokens=False).settings.defaults, "projects": [{}]}
    )
    standard = Settings.model_validate({"defaults": bare, "projects": [{}]})
    # What the example says otherwise, and tells so in a comment.
    otherwise = {
        "request_logs": {"base_url": "https://vercel.com"},
        "prometheus": {
            "headers_file": Path("/run/credentials/lastgood.service/prometheus_headers"),
            "tenant": "shop-team",
        },
    }
    sources = tuple(one.model_copy(update=otherwise.get(one.kind, {})) for one in standard.defaults.sources)
    assert written.defaults.sources == sources
    assert written.defaults.detectors == standard.defaults.detectors
    assert written.defaults.guardrails == standard.defaults.guardrails


def says_otherwise(text: str, line: int) -> bool:
    """Return whether one of the comments right above *line* tells the default."""
    above = text.splitlines()[: line - 1]
    comments = []
    while above and above[-1].strip().startswith("#"):
        comments.append(above.pop())
    return any("Default:" in comment for comment in comments)


# Nothing leaks, and nothing but ConfigError comes out


def secret_places() -> list[str]:
    """Return configurations with a token in every place of the example where text can stand."""
    text = EXAMPLE.read_text(encoding="utf-8")
    root, _ = parse_yaml(text, "example")
    lines = text.splitlines()
    planted = []
    for scalar in scalars_of(root):
        line, column = scalar.place.line - 1, scalar.place.column - 1
        changed = [*lines]
        changed[line] = changed[line][:column] + TOKEN + changed[line][column + len(scalar.text) :]
        planted.append("\n".join(changed))
    return planted


def scalars_of(node: Node) -> list[Scalar]:
    if isinstance(node, Scalar):
        return [node]
    inner = node.items if isinstance(node, Sequence) else tuple(one for _, one in node.entries.values())
    return [scalar for one in inner for scalar in scalars_of(one)]


@pytest.mark.slow
def test_I_39_no_secret_ever_appears_in_an_error(tmp_path: Path) -> None:
    file = tmp_path / "lastgood.yaml"
    places = secret_places()
    outcomes = []
    for text in places:
        file.write_text(text, encoding="utf-8")
        outcomes += [refusal_or_settings(file, {}, checks_tokens=checks_tokens) for checks_tokens in (True, False)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, ConfigError)]
    assert not [refusal for refusal in refusals if TOKEN in everything_in(refusal)]
    assert len(places) > 40
    assert len(refusals) > len(places)


@pytest.mark.parametrize(
    "name", ["READ_TOKEN", "ACT_TOKEN", "API_URL", "TEAM", "READ_TOKEN_FILE", "REQUEST_TIMEOUT", "NONE"]
)
def test_I_39_no_variable_is_repeated_in_an_error(name: str, tmp_path: Path) -> None:
    file = tmp_path / "lastgood.yaml"
    file.write_text("projects: []\n", encoding="utf-8")
    assert TOKEN not in everything_in(refusal_of(file, {f"LASTGOOD_VERCEL__{name}": f"{TOKEN} and more"}))


def test_I_39_settings_do_not_show_their_tokens() -> None:
    loaded = load_settings(HERE / "minimal.good.yaml", {READ_TOKEN: TOKEN})
    assert loaded.vercel.token_to_act() == TOKEN
    shown = [
        repr(loaded),
        str(loaded),
        loaded.model_dump_json(),
        repr(loaded.model_dump()),
        repr(loaded.vercel.token_to_read),
    ]
    assert not [text for text in shown if TOKEN in text]


def everything_in(error: BaseException) -> str:
    """Return what a traceback with all its causes could show of *error*."""
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain += [str(current), repr(current), repr(current.args), repr(vars(current))]
        current = current.__cause__ or current.__context__
    return "\n".join(chain)


LINES = EXAMPLE.read_text(encoding="utf-8").splitlines()
AROUND_A_TOKEN = [
    "{}",
    "{}:",
    "- {}",
    "!{} x",
    "*{}",
    "&{} x",
    "%{}",
    '"{}',
    "'{}",
    "/{}",
    "{{{}: 1}}",
    "? {}",
    "<<: {}",
]
ODD = r"""{ } [ ] : - ? | > # --- ... <<: \ "\x" "\UFFFFFFFF" "/\uD800" !!int~3 !!python/object:os.system~x
0x1f 1e400 .nan -5
true null [[[[[[[[[[[[[[[[ 999999d 0s é kind:~threshold id:~prj_A1 max_error_rate:~5% 1:2 &a~x *a"""
SPLINTERS = st.sampled_from(
    [around.format(TOKEN) for around in AROUND_A_TOKEN]
    + [odd.replace("~", " ") for odd in ODD.split()]
    + ["\t", "\x00", "\ufeff", "1" * 30, "9" * 5000]
)


@st.composite
def edited_examples(draw: st.DrawFn) -> str:
    """Return the example after a few random edits of lines and characters."""
    lines = [*LINES]
    for _ in range(draw(st.integers(1, 6))):
        index = draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        match draw(st.sampled_from(["drop", "double", "splice", "value", "indent", "swap"])):
            case "drop" if len(lines) > 1:
                del lines[index]
            case "double":
                lines.insert(index, line)
            case "splice":
                at = draw(st.integers(0, len(line)))
                lines[index] = line[:at] + draw(SPLINTERS) + line[at:]
            case "value":
                lines[index] = line.partition(":")[0] + ": " + draw(SPLINTERS)
            case "indent":
                lines[index] = " " * draw(st.integers(0, 9)) + line.lstrip()
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[index], lines[other] = lines[other], line
    return "\n".join(lines)


@pytest.mark.slow
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(text=edited_examples(), value=st.sampled_from(["", "15s", "5", TOKEN, "\x00", "true"]))
def test_I_29_no_edit_of_the_example_gives_anything_but_settings_or_a_refusal(
    text: str, value: str, tmp_path: Path
) -> None:
    file = tmp_path / "lastgood.yaml"
    file.write_text(text, encoding="utf-8")
    env = {READ_TOKEN: TOKEN, "LASTGOOD_POLL__INTERVAL": value, "LASTGOOD_DEFAULTS__POSTURE": value}
    for given_env in (env, {}):
        outcome = refusal_or_settings(file, given_env, checks_tokens=bool(given_env))
        if isinstance(outcome, ConfigError):
            assert outcome.problems
            assert TOKEN not in everything_in(outcome)
        else:
            assert outcome.projects
