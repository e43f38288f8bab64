from __future__ import annotations

import pytest

from cosmo.cli.demo import print_results
from cosmo.demo.reading import Reading, Sent
from cosmo.demo.show import Results
from features.lookup.answers import Answer, QueryIntents, Status


def _printed(capsys: pytest.CaptureFixture[str], *answers: Answer, reading: Reading | None = None) -> str:
    results = Results(
        answers=answers,
        addresses=(),
        reading=reading or Reading(),
        sent=Sent(),
        remaining="",
        serving=False,
        ending="The time was over.",
    )
    print_results(results)
    return capsys.readouterr().out


def test_what_is_offered_to_copy_has_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    known = QueryIntents(query="game day snacks", status=Status.FRESH, product_types=(), intents=())
    assert "cosmo lookup query 'game day snacks' --explain" in _printed(capsys, known)


def test_a_model_that_did_not_answer_in_time_is_not_blamed_on_the_filters(capsys: pytest.CaptureFixture[str]) -> None:
    printed = _printed(capsys)
    assert "before the model's first answer" in printed
    assert "lookup query" not in printed
    assert "survived the filters" in _printed(capsys, reading=Reading(rejected={"generic": 3}))


def test_whoever_has_no_cosmo_in_the_path_is_told_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "export PATH=" in _printed(capsys)
