"""Wrong usage of the command is told before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmo.cli.main import main
from cosmo.cli.produce import _rate


@pytest.fixture
def events(tmp_path: Path) -> str:
    path = tmp_path / "events.ndjson"
    path.write_text("{}\n")
    (tmp_path / "events.ndjson.refused.ndjson").write_text("{}\n")
    return str(path)


WRONG = {
    "a topic that producers do not write": (["intents", "FILE"], "none of query-purchase, co-purchase"),
    "a format that is none": (["query-purchase", "FILE", "--format", "csv"], "none of native, ubi, opensearch-ubi"),
    "orders from UBI": (["co-purchase", "FILE", "--format", "ubi"], "UBI has no orders"),
    "no file": (["query-purchase"], "Missing argument"),
    "a file that is not there": (["query-purchase", "FILE", "nowhere.ndjson"], "nowhere.ndjson is no file"),
    "a catalogue that is not there": (
        ["query-purchase", "FILE", "--format", "ubi", "--products", "none"],
        "Invalid value for --products: none is no file",
    ),
    "a catalogue for native lines": (["query-purchase", "FILE", "--products", "FILE"], "for --products: It is for UBI"),
    "actions for native lines": (["query-purchase", "FILE", "--action", "hover=skip"], "for --action: It is for UBI"),
    "refusals over the input": (["query-purchase", "FILE", "--refused", "FILE"], "is an input"),
    "refusals of one input over another": (["query-purchase", "FILE", "FILE.refused.ndjson"], "is an input"),
    "a folder": (["query-purchase", "/"], "/ is no file"),
    "a rate in words": (["query-purchase", "FILE", "--rate", "fast"], "is no rate"),
    "an empty rate": (["query-purchase", "FILE", "--rate", ""], "is no rate"),
    "a rate without end": (["query-purchase", "FILE", "--rate", "inf"], "more than 0"),
    "a rate that is no number": (["query-purchase", "FILE", "--rate", "nan"], "more than 0"),
    "a name too long for a file": (["query-purchase", "x" * 5000], "is no file"),
    "refusals nowhere": (["query-purchase", "FILE", "--refused", "/no/such/folder/x"], "is no directory"),
    "a rate of nothing": (["query-purchase", "FILE", "--rate", "0"], "more than 0"),
    "an action of nobody": (["query-purchase", "FILE", "--format", "ubi", "--action", "hover=look"], "NAME=ACTION"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_usage_is_2_and_says_what_is_wrong(
    kind: str, events: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmo.runtime.logs.configure", lambda _settings: None)
    monkeypatch.setenv("COLUMNS", "200")
    arguments, message = WRONG[kind]
    with pytest.raises(SystemExit) as end:
        main(["produce", *(argument.replace("FILE", events) for argument in arguments)])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("text", "rate"), [(None, None), ("500", 500.0), ("500/s", 500.0), ("30000/m", 500.0)])
def test_a_rate_is_by_the_second_or_the_minute(text: str | None, rate: float | None) -> None:
    assert _rate(text) == rate
