"""What the command says of groups that are not there."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cosmo.cli.main import main
from cosmo.lag.model import GroupReading, PartitionReading, Snapshot

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
READ = PartitionReading(
    topic="t", partition=0, committed_offset=3, log_start_offset=0, log_end_offset=3, stable_offset=3, oldest="nothing"
)


NOT_COMMITTED = replace(READ, partition=1, committed_offset=None, oldest="unread")
KNOWN = {"there": (READ,), "half": (READ, NOT_COMMITTED)}


class ReaderOfOneGroup:
    """Knows the group `there`, which has read all, and `half`, which has no commit on another partition; of any other
    no broker knows."""

    def __init__(self, _: object) -> None: ...

    def __enter__(self) -> ReaderOfOneGroup:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, groups: Collection[str], *, everyone: bool) -> Snapshot:
        return Snapshot(
            taken_at=AT,
            groups=tuple(
                GroupReading(
                    group=name,
                    state="EMPTY" if name in KNOWN else "DEAD",
                    members=0,
                    partitions=KNOWN.get(name, ()),
                )
                for name in groups
            ),
        )


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmo.runtime.logs.configure", lambda _settings: None)
    monkeypatch.setattr("cosmo.lag.LagReader", ReaderOfOneGroup)


def lag(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        main(["lag", *arguments])
    return end.value.code


def test_a_group_that_nobody_knows_is_said_not_to_be_there_and_has_no_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert lag("--group", "nosuch") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "There is no group nosuch. `cosmo lag --all` shows which there are.\n"


def test_the_groups_that_are_there_are_shown_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert lag("--group", "nosuch", "--group", "there", "--json") == 1
    said = capsys.readouterr()
    assert [one["group"] for one in json.loads(said.out)["groups"]] == ["nosuch", "there"]
    assert "no group nosuch." in said.err


def test_a_group_without_lag_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert lag("--group", "there") == 0
    said = capsys.readouterr()
    assert "there" in said.out
    assert said.err == ""


def test_a_total_without_a_partition_that_nobody_knows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """All of what is known is read; what the group never committed may wait for it all the same."""
    assert lag("--group", "half") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "half" in line)
    assert "≥ 0 " in row
    assert "≥ 0.0 s" in row
    assert "[1] no commit yet; 3 in the log" in row


def test_a_document_without_a_partition_that_nobody_knows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert lag("--group", "half", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["complete"] is False
    assert (document["groups"][0]["records"], document["groups"][0]["seconds"]) == (None, None)
