from __future__ import annotations

import pytest

from cosmo.cli.demo import print_results
from cosmo.demo.reading import Reading, Sent
from cosmo.demo.show import Results
from features.lookup.answers import Answer, ProductComplements, ProductIntents, QueryIntents, Refusal, Status


def _printed(
    capsys: pytest.CaptureFixture[str], *answers: Answer, reading: Reading | None = None, serving: bool = False
) -> str:
    results = Results(
        answers=answers,
        addresses=(),
        reading=reading or Reading(),
        sent=Sent(),
        remaining="",
        serving=serving,
        ending="The time was over.",
    )
    print_results(results)
    return capsys.readouterr().out


def test_what_is_offered_to_copy_has_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    query = QueryIntents(query="game day snacks", status=Status.FRESH, product_types=[], intents=[])
    complements = ProductComplements(product_id="1098066", status=Status.FRESH, complements=[])
    product = ProductIntents(product_id="40", status=Status.FRESH, intents=[])
    other = ProductIntents(product_id="41", status=Status.FRESH, intents=[])
    assert _offered(_printed(capsys, query)) == ["cosmo lookup query 'game day snacks' --explain"]
    assert _offered(_printed(capsys, complements)) == ["cosmo lookup product 1098066 --complements --explain"]
    assert _offered(_printed(capsys, product, other)) == ["cosmo lookup product 40 --explain"]
    damaged = query.model_copy(update={"status": Status.DAMAGED, "refusal": Refusal(error="Its row cannot be read.")})
    assert len(_offered(_printed(capsys, damaged, query, product, complements))) == 3
    assert _offered(_printed(capsys, damaged)) == []


def _offered(printed: str) -> list[str]:
    return [line.partition(" why ")[0].strip() for line in printed.splitlines() if line.startswith("  cosmo lookup")]


def test_workers_of_ones_own_are_offered_for_after_the_end_while_this_serves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "`cosmo stack up`, after this has ended" in _printed(capsys, serving=True)
    assert "after this has ended" not in _printed(capsys)


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
