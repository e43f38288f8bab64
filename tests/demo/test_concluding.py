"""The summary is written when the page is shown, when the stop begins, and again once the workers have stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cosmo.demo.reading import Reading, Sent
from cosmo.demo.record import Record
from cosmo.demo.remembered import Remembered
from cosmo.demo.run import Options, _Flow, _Run
from cosmo.demo.show import PlainShow, Results
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from cosmo.stack.home import Home

BEFORE = Reading(intents_kept=460, prompts=900, held_back_pairs=2_585)
AFTER = Reading(intents_kept=474)


@dataclass(slots=True)
class Watched:
    """Figures as they are told to be."""

    latest: Reading = field(default_factory=lambda: BEFORE)


def _flow(home: Path) -> tuple[_Flow, Watched]:
    shown: list[Results] = []
    record, watch = Record(home=Home.at(home)), Watched()
    run = _Run(Settings(), Options(), PlainShow(lambda _: None, shown.append), record)
    known = Remembered(baskets=1, seed=1, now=datetime(2026, 3, 1, tzinfo=UTC))
    return _Flow(run, Settings(), (), watch, known, record.home), watch  # type: ignore[arg-type]


def _written(home: Path) -> Any:
    return json.loads((home / "summary.json").read_text())


def test_the_summary_is_written_when_the_page_is_shown_and_the_run_has_not_concluded_by_that(tmp_path: Path) -> None:
    flow, _ = _flow(tmp_path)
    flow.tell(
        Results(answers=(), addresses=(), reading=BEFORE, sent=Sent(), remaining="", serving=True, ending="The goal.")
    )
    assert _written(tmp_path)["intents"]["kept"] == 460
    flow.of.record.broken_off(CosmoError("It broke."))
    assert _written(tmp_path)["failure"] == "It broke."


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_what_the_workers_have_done_while_they_stopped_is_in_the_summary(
    tmp_path: Path, error: BaseException | None
) -> None:
    flow, watch = _flow(tmp_path)
    flow.conclude(error)
    assert _written(tmp_path)["intents"]["kept"] == 460
    watch.latest = AFTER
    flow.conclude_again(error)
    document = _written(tmp_path)
    assert (document["intents"]["kept"], document["prompts"], document["ending"]) == (474, 900, "interrupted")
    assert document["waiting"]["pairs_held_back"] == 2_585
    assert flow.of.record.document == document


def test_a_stop_that_fails_is_a_failure(tmp_path: Path) -> None:
    flow, _ = _flow(tmp_path)
    flow.conclude(None)
    flow.conclude_again(CosmoError("The disk is full."))
    assert (_written(tmp_path)["ending"], _written(tmp_path)["failure"]) == ("failed", "The disk is full.")


def test_a_run_that_ended_before_the_workers_ran_is_not_told_of_as_one_that_ran(tmp_path: Path) -> None:
    flow, _ = _flow(tmp_path)
    flow.conclude_again(CosmoError("A port is taken."))
    assert not (tmp_path / "summary.json").exists()
