"""An answer as a person reads it: nothing of it is cut off, however narrow the terminal."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from cosmo.cli.lookup import app, print_answer
from features.lookup.answers import Answer, FoundComplement, FoundIntent, ProductComplements, QueryIntents, Status, Why
from features.lookup.keys import is_blank
from features.lookup.sentences import because
from schemas.text import clean

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = "Shelf-Stable Beans Green, French-Style & Whole & Cut, 14.5 oz, Store Brand"
WHY = Why(
    sentence=because(None, [LONG, "Hot Dog Buns, 11 oz"], 1_234, NOW),
    intent_id="i-1",
    pair_id="p-1",
    query=None,
    products=[],
    specificity=None,
    product_types=[],
    template_id="co_buy.used_for_eve.1",
    model_id="smollm2-135m-instruct",
    event_time=NOW,
    generated_time=NOW,
    scores={"mean_logprob": -0.53, "plausibility": 0.59},
)
TEXT = "used for a picnic in the park with all of the family and the neighbours, who bring the dog"


def _complements(why: Why | None) -> ProductComplements:
    found = FoundComplement(
        product_id="1", title=LONG, text=TEXT, relation="used_for_eve", tail=TEXT, plausibility=0.59, typicality=None,
        support=1_234, why=why,
    )  # fmt: skip
    return ProductComplements(product_id="2", status=Status.FRESH, model="m", age_s=1.0, complements=[found])


def _intents(why: Why | None) -> QueryIntents:
    found = FoundIntent(
        text=TEXT, relation="used_for_eve", tail=TEXT, plausibility=0.59, typicality=0.7, support=1_234, why=why
    )
    return QueryIntents(query="q", status=Status.FRESH, model="m", age_s=1.0, intents=[found])


def _printed(answer: Answer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    monkeypatch.setenv("COLUMNS", str(width))
    print_answer(answer)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, printed.splitlines())) <= width
    return printed


def test_product_types_that_hold_commas_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    types = ["Cat Food, Dry", "Milk, Fluid"]
    print_answer(_intents(None).model_copy(update={"product_types": types, "specificity": 0.5}))
    assert "“q”: specificity 0.50; buys “Cat Food, Dry”, “Milk, Fluid”\n" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("why", [None, WHY], ids=["plain", "explained"])
@pytest.mark.parametrize("about", [_complements, _intents])
def test_no_word_is_lost_where_the_terminal_is_narrow(
    about: object, why: Why | None, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = about(why)  # type: ignore[operator]
    printed = _printed(answer, capsys, monkeypatch, width)
    wanted = [TEXT, "0.59", "1,234", *([LONG] if about is _complements else [])]
    wanted += [why.sentence, why.template_id, why.model_id, "mean_logprob -0.53"] if why else []
    words = set(printed.split())
    assert [word for text in wanted for word in text.split() if not any(word in one for one in words)] == []
    assert "…" not in printed


def test_the_evidence_stands_below_its_intent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _printed(_intents(WHY), capsys, monkeypatch, 120).splitlines()
    at = lines.index(TEXT)
    assert lines[at + 1].strip() == "plausible 0.59, typical 0.70, 1,234 sessions when asked"
    assert " ".join(line.strip() for line in lines[at + 2 : at + 4]) == WHY.sentence


@pytest.mark.parametrize("command", ["query", "product"])
def test_a_blank_key_is_a_mistake_and_not_nothing_known(command: str) -> None:
    for blank in ("", "  ", "\u200b"):
        done = CliRunner().invoke(app, [command, blank])
        assert (done.exit_code, "blank" in done.output) == (2, True)


@pytest.mark.parametrize("why", [None, WHY], ids=["plain", "explained"])
def test_what_nobody_has_judged_is_a_question_mark(
    why: Why | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.search(r"(typical |0\.59\s+)\?", _printed(_complements(why), capsys, monkeypatch, 120))


@pytest.mark.parametrize("key", ["\U0001fae8", "\ue000", "\u200dA"], ids=["newer than Python", "private", "joined"])
def test_what_ingest_leaves_of_a_key_may_be_asked_for(key: str) -> None:
    assert clean(key) == key
    assert not is_blank(key)
