"""summary.json tells of the newest run, whatever ends it and however early."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cosmo.demo import remembered
from cosmo.demo.ending import During, End, Ending
from cosmo.demo.reading import Reading, Sent
from cosmo.demo.record import Record, summary, write_document
from cosmo.runtime.errors import CosmoError
from cosmo.stack.home import Home

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_LIMIT = End(ending=Ending.LIMIT, during=During.RUN)
REFUSED = CosmoError("The ingest worker has stopped.", advice="Mend the producer.")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With the summary of an earlier run, which reached its goal."""
    write_document(tmp_path / "summary.json", {"ending": "goal", "reached_goal": True})
    return Home.at(tmp_path)


def _written(home: Home) -> Any:
    return json.loads((home.root / "summary.json").read_text())


def test_the_page_explains_every_figure_of_the_summary() -> None:
    page = (Path(__file__).parents[2] / "docs" / "demo.md").read_text("utf-8")
    document = summary(Reading(), Sent(), started_at=NOW, seconds=1.0, end=AT_LIMIT)
    names = {name for name in document if name not in {"events", "intents", "waiting"}}
    names |= {f"{part}.{name}" for part in ("events", "intents", "waiting") for name in document[part]}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_the_summary_says_null_for_what_is_unknown() -> None:
    document = summary(Reading(), Sent(), started_at=NOW, seconds=1.25, end=AT_LIMIT)
    for name in ("pairs", "prompts", "dead_letters", "entities_with_features", "seconds_to_first_feature", "failure"):
        assert document[name] is None
    assert document["intents"] == {"kept": None, "rejected": None}
    assert document["peak_memory_bytes"] is None
    json.dumps(document)


def test_an_earlier_run_is_not_told_of_any_more_once_a_run_begins(home: Home) -> None:
    Record(home=home, started_at=NOW).begin()
    document = _written(home)
    assert (document["ending"], document["during"], document["reached_goal"]) == (None, "start", False)
    assert document["started_at"] == NOW.isoformat()
    assert document["entities_with_features"] is None


@pytest.mark.parametrize(
    ("error", "ending", "failure"),
    [
        (KeyboardInterrupt(), "interrupted", None),
        (REFUSED, "failed", "The ingest worker has stopped. Mend the producer."),
        (ZeroDivisionError("no"), "failed", "ZeroDivisionError: no"),
    ],
)
def test_a_run_that_ends_during_its_start_says_so_and_why(
    home: Home, error: BaseException, ending: str, failure: str | None
) -> None:
    Record(home=home).broken_off(error)
    document = _written(home)
    assert (document["ending"], document["during"], document["failure"]) == (ending, "start", failure)


def test_what_earlier_runs_have_sent_is_in_the_summary_of_a_run_that_sent_nothing(home: Home) -> None:
    home.data.mkdir()
    known = remembered.recall(home.data, baskets=1, seed=1, now=NOW)
    figures = {"lines": 11, "sent": 10, "refused": {"not_json": 1}}
    remembered.save(home.data, known.with_sent("co-purchase", figures))
    Record(home=home).begin()
    assert _written(home)["events"]["produced"] == 10


def test_a_run_whose_end_could_not_be_told_by_itself_is_no_run_that_still_starts(home: Home) -> None:
    record = Record(home=home)
    record.begin()
    record.runs()
    assert (_written(home)["ending"], _written(home)["during"]) == (None, "run")
    record.broken_off(REFUSED)
    assert (_written(home)["ending"], _written(home)["during"]) == ("failed", "run")


def test_a_run_that_has_concluded_keeps_its_figures(home: Home) -> None:
    record = Record(home=home)
    record.conclude(Reading(entities=3), Sent(), AT_LIMIT.broken_off(REFUSED))
    record.broken_off(REFUSED)
    document = _written(home)
    assert document["entities_with_features"] == 3
    assert (document["ending"], document["failure"]) == ("failed", str(REFUSED))


def test_a_run_that_was_refused_because_another_has_the_home_leaves_its_summary_alone(home: Home) -> None:
    with home.locked():
        Record(home=home).broken_off(REFUSED)
    assert _written(home)["ending"] == "goal"


@pytest.mark.parametrize(
    ("error", "ending"),
    [(None, Ending.GOAL), (KeyboardInterrupt(), Ending.GOAL), (REFUSED, Ending.FAILED)],
)
def test_a_failure_is_one_also_after_the_goal_which_stays_reached(error: BaseException | None, ending: Ending) -> None:
    end = End(ending=Ending.GOAL, during=During.RUN, reached_goal=True).broken_off(error)
    assert (end.ending, end.reached_goal) == (ending, True)


def test_documents_are_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_document(path, {"a": 1})
    write_document(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]
