"""Wrong usage of the command is told before anything is replayed, and a dry run says what would come of it."""

from __future__ import annotations

from typing import Any

import pytest

from cosmo.cli.main import main
from cosmo.deadletters.replay import Replayed


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was asked of a replay."""
    calls: list[dict[str, Any]] = []

    def replay(*_: Any, **options: Any) -> Replayed:
        calls.append(options)
        if not options["dry_run"]:
            return Replayed(topic="t", replayed=9, returned=3)
        return Replayed(topic="t", replayed=9, now={"accepted": 2, "refused": 3, "unknown": 4}, unknown="It is away.")

    monkeypatch.setattr("cosmo.runtime.logs.configure", lambda _settings: None)
    monkeypatch.setattr("cosmo.deadletters.operations.replay", replay)
    monkeypatch.setenv("COLUMNS", "200")
    return calls


def cosmo(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["dlq", *arguments])
    assert isinstance(end.value.code, int)
    return end.value.code


def test_everything_is_not_replayed_unasked_where_nobody_can_be_asked(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosmo("replay", "query-purchase") == 2
    assert asked == []
    assert "nobody can be asked. Give --yes" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--yes",), ("--dry-run",), ("--reason", "no_title"), ("--from-offset", "0")])
def test_who_says_which_or_yes_is_not_asked(option: tuple[str, ...], asked: list[dict[str, Any]]) -> None:
    assert cosmo("replay", "query-purchase", *option) == 0
    assert len(asked) == 1


def test_a_dry_run_says_how_many_would_be_refused_again_and_of_how_many_nobody_knows(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosmo("replay", "query-purchase", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "Would replay 9 dead letters to t." in said
    assert "3 would be refused again" in said
    assert "What would become of 4 is not known: It is away." in said


def test_a_replay_says_how_many_had_come_back_from_an_earlier_one(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Their cause is perhaps not mended, and each run would send them round once more."""
    assert cosmo("replay", "query-purchase", "--yes") == 0
    assert "3 of them had come back from an earlier replay; --dry-run says" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_a_topic_without_dead_letters_is_wrong_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cosmo(command, "nosuch") == 2
    assert "'nosuch' has no dead letters." in capsys.readouterr().err
