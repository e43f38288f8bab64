from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from cosmo.cli import mounts
from cosmo.cli.main import main, program
from cosmo.runtime import settings
from cosmo.runtime.errors import CosmoError


@pytest.fixture(autouse=True)
def _failing_command(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    failing = mounts.Mount(name="fail", module="tests.cli.failing_command", help="Fail.")
    monkeypatch.setattr(mounts, "COMMANDS", (*mounts.COMMANDS, failing))
    monkeypatch.setattr("cosmo.runtime.logs.configure", lambda _settings: None)
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


def _exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code or 0


def test_an_expected_failure_is_a_sentence_and_its_advice_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("fail", "expected") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "The broker is away.\nStart it with `cosmo stack up`.\n"


def test_an_unexpected_failure_is_a_sentence_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("fail", "unexpected") == 1
    assert capsys.readouterr().err.startswith("Unexpected ZeroDivisionError: division by zero\n")


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    with pytest.raises(CosmoError):
        main(["fail", "expected", "--debug"])
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "fail", "unexpected"])


def test_ctrl_c_is_one_word_and_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code("fail", "interrupted") == 130
    assert capsys.readouterr().err == "Interrupted.\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["fail", "nonsense"], ["docs", "settings", "--nonsense"], ["lookup", "query", " "], []],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert _exit_code(*arguments) == 2


def test_a_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    _exit_code("dosc")
    assert "Did you mean 'docs'" in capsys.readouterr().err


def test_a_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COSMO_SHUTDOWN_S", "soon")
    assert _exit_code("docs", "settings") == 1
    assert "COSMO_SHUTDOWN_S: Input should be a valid number" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL", "REDIS_URL", "COSMO_LM_URL"])
def test_a_malformed_address_is_one_sentence_that_names_its_setting(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "foo")
    assert _exit_code("docs", "settings") == 1
    said = capsys.readouterr().err
    assert f"{name}: it is not of the form" in said
    assert "defect" not in said


@pytest.mark.parametrize("mount", mounts.COMMANDS, ids=lambda mount: mount.name)
def test_every_command_explains_itself(mount: mounts.Mount, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code(mount.name, "--help") == 0
    assert "Usage: cosmo " + mount.name in capsys.readouterr().out


def _commands(name: str) -> list[tuple[str, str]]:
    """Every command under ``name`` as it is typed, with its help."""
    command = typer.main.get_command(program([name])).commands[name]  # type: ignore[attr-defined]  # it is a group
    below = getattr(command, "commands", None)
    return (
        [(f"cosmo {name} {each}", one.help) for each, one in below.items()]
        if below
        else [(f"cosmo {name}", command.help)]
    )


@pytest.mark.parametrize("mount", mounts.COMMANDS, ids=lambda mount: mount.name)
def test_help_teaches_by_example(mount: mounts.Mount) -> None:
    """Every command shows itself in use, with what it is used for named in a sentence before it."""
    for typed, told in _commands(mount.name):
        sentence, shown, _ = told.partition(typed)
        assert sentence.strip(), typed
        assert shown, f"{typed} --help shows no example"


HEAVY = {"confluent_kafka", "faust", "feast", "pandas", "polars", "pydantic", "fastapi"}


def test_help_imports_nothing_heavy() -> None:
    """`cosmo --help` must answer at once; the heavy libraries take seconds to import."""
    program = (
        "import sys\nfrom cosmo.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


def test_a_look_up_imports_only_what_it_needs() -> None:
    """Its time is that of its imports: what logs or writes YAML is a fifth of it."""
    program = (
        "import sys\nfrom cosmo.cli.main import main\n"
        "try: main(['lookup', 'query', 'x'])\nexcept SystemExit: print(*sys.modules)"
    )
    unreachable = os.environ | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=unreachable)
    assert {"confluent_kafka", "faust", "feast", "fastapi", "pandas", "structlog", "yaml"}.isdisjoint(
        done.stdout.split()
    )


def test_python_dash_m_cosmo_is_cosmo() -> None:
    done = subprocess.run([sys.executable, "-m", "cosmo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cosmo ")
