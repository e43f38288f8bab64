from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from cosmo.demo import live, remembered
from cosmo.demo.live import LiveShow, screen
from cosmo.demo.outcome_logs import Outcomes
from cosmo.demo.reading import Reading, Sent, Stage
from cosmo.demo.show import Results, figures, line_of, queue
from cosmo.demo.stages import stages
from cosmo.lag.model import GroupLag, OldestRecord, PartitionLag, PartitionReading
from cosmo.lag.rules import partition_lag
from cosmo.produce import Summary
from cosmo.runtime.errors import CosmoError
from schemas.records import EntityIntent, EntityKind
from tests.features.examples import intent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUMMARY = Summary(
    topic="co-purchase", lines=8, sent=7, refused={"no_title": 1}, passed={}, waiting=0, bytes=70, seconds=1.0
)
FIGURES = {"lines": 110, "sent": 100, "refused": {"not_json": 6, "no_title": 4}}

EMPTY = Results(answers=(), addresses=(), reading=Reading(), sent=Sent(), remaining="", serving=True, ending="")


def _partition(
    topic: str, *, committed: int | None, start: int, end: int | None, oldest_age_s: float | None = None
) -> PartitionLag:
    """As `cosmo lag` sees it of one of our groups; without ``oldest_age_s`` nobody read its oldest record in time."""
    at = max(start, committed or 0)
    when = None if oldest_age_s is None else NOW - timedelta(seconds=oldest_age_s)
    reading = PartitionReading(
        topic=topic,
        partition=0,
        committed_offset=committed,
        log_start_offset=start,
        log_end_offset=end,
        oldest=OldestRecord(offset=at, timestamp=when) if when and end and at < end else "unread",
        from_beginning=True,
    )
    return partition_lag(reading, NOW)


def _group(name: str, *partitions: PartitionLag) -> dict[str, GroupLag]:
    return {name: GroupLag(group=name, state="STABLE", members=1, partitions=partitions)}


def test_a_stage_counts_what_is_committed_and_what_waits_before_the_first_commit_too() -> None:
    partitions = (
        _partition("query-purchase", committed=70, start=0, end=100),
        _partition("co-purchase", committed=None, start=5, end=25),
    )
    ends = {"pair-counts": 9, "query-purchase.dlq": 3, "co-purchase.dlq": 1}
    ingest = stages(_group("cosmo-ingest", *partitions), ends, 4, "")[0]
    assert ingest == Stage(name="ingest", taken=70, given=9, refused=4, lag=50, lag_s=None)


@pytest.mark.parametrize(
    ("rest", "seconds"),
    [
        ({"committed": None, "start": 0, "end": 25}, None),
        ({"committed": None, "start": 0, "end": None}, None),
        ({"committed": None, "start": 0, "end": 25, "oldest_age_s": 30.0}, 30.0),
        ({"committed": None, "start": 0, "end": 0}, 12.0),
        ({"committed": 25, "start": 0, "end": 25}, 12.0),
    ],
)
def test_the_oldest_age_is_unknown_as_long_as_that_of_one_partition_is(
    rest: dict[str, int | None], seconds: float | None
) -> None:
    known = _partition("query-purchase", committed=70, start=0, end=100, oldest_age_s=12.0)
    other = _partition("co-purchase", **rest)  # type: ignore[arg-type]
    ingest = stages(_group("cosmo-ingest", known, other), {}, None, "")[0]
    assert ingest.lag_s == seconds


def test_an_unknown_age_is_shown_as_unknown_beside_its_lag_and_never_as_nothing() -> None:
    empty = _partition("query-purchase", committed=None, start=0, end=0)
    unread = _partition("co-purchase", committed=None, start=0, end=25)
    text = _text(Reading(stages=stages(_group("cosmo-ingest", empty, unread), {}, None, "")[:1]))
    row = next(line for line in text.splitlines() if line.strip().startswith("ingest"))
    assert row.split()[-2:] == ["25", "-"]


def test_what_no_broker_told_is_unknown_and_not_zero() -> None:
    unknown = _partition("pair-counts", committed=3, start=0, end=None)
    sample = stages(_group("cosmo-sample", unknown), {}, None, "")[1]
    assert sample == Stage(name="sample", taken=3, given=None, refused=None, lag=None, lag_s=None)
    infer = stages({}, {}, None, "")[2]
    assert (infer.taken, infer.lag) == (None, None)


def test_an_intent_counts_once_however_often_its_key_is_written_and_not_when_retracted() -> None:
    outcomes = Outcomes()
    outcomes.add_intent(b"a", intent())
    outcomes.add_intent(b"a", intent(support=9))
    outcomes.add_intent(b"b", intent())
    outcomes.add_intent(b"b", None)
    assert outcomes.kept == 1
    assert len(outcomes.newest) == 2


def test_an_entity_has_the_largest_support_of_its_intents() -> None:
    outcomes = Outcomes()
    for support in (4, 9, 2):
        record = EntityIntent(entity_kind=EntityKind.QUERY, entity_key="milk", intent=intent(support=support))
        outcomes.add_entity(record)
    assert outcomes.entities == {(EntityKind.QUERY, "milk"): 9}


def test_figures_of_an_earlier_run_stand_until_this_run_has_sent_the_topic_itself() -> None:
    sent = Sent.of({"query-purchase": FIGURES}, {}, None)
    assert (sent.lines, sent.sent, sent.refused) == (110, 100, {"not_json": 6, "no_title": 4})
    assert sent.in_this_run.sent == 0


def test_figures_of_this_run_and_of_the_home_are_told_apart() -> None:
    first = {"query-purchase": FIGURES}
    reading = Reading(pairs=9, intents_kept=474, entities=40, learned_now=25, first_feature_s=79.0)
    of_run, of_home = figures(reading, Sent.of(first, {"co-purchase": SUMMARY}, None))
    assert of_run.startswith("This run: 7 events sent, 1 lines refused, 25 entities learned, the first after 79 s;")
    assert "107 events sent, 11 lines refused, 9 pairs released, 474 intents kept, 40 entities with" in of_home
    nothing_sent, _ = figures(replace(reading, learned_now=0, first_feature_s=None), Sent.of(first, {}, None))
    assert nothing_sent.startswith("This run: 0 events sent, 0 lines refused, 0 entities learned; memory")


def test_a_line_says_where_everything_stands() -> None:
    stage = Stage(name="ingest", taken=1234, given=5, refused=0, lag=None, lag_s=None)
    line = line_of(Reading(stages=[stage], entities=3), Sent(topics={"query-purchase": FIGURES}), 12.0)
    assert line == "  12 s · sent 100 (refused 10) · ingest 1,234 (lag ?) · intents ? · entities 3"


@pytest.mark.parametrize(
    ("released", "held_back", "said"),
    [
        (0, 0, "Nothing waits to be explained."),
        (64, 2585, "64 pairs wait for the model's answer and 2,585 to be asked, the best first."),
        (64, None, "64 pairs wait for the model's answer and ? to be asked, the best first."),
        (0, None, "0 pairs wait for the model's answer and ? to be asked, the best first."),
        (None, None, "How many pairs wait is unknown."),
    ],
)
def test_what_waits_is_what_the_model_was_given_and_what_it_was_not_given_yet(
    released: int | None, held_back: int | None, said: str
) -> None:
    assert queue(Reading(queued_pairs=released, held_back_pairs=held_back)) == said


def test_text_of_shoppers_and_of_the_model_is_shown_and_never_obeyed_as_markup() -> None:
    console = Console(width=150, record=True, force_terminal=False)
    hostile = intent(query="[bold red]milk[/]", tail="[link=http://x]tea[/link]")
    stage = Stage(name="ingest", taken=5, given=5, refused=1, lag=3, lag_s=12.0)
    console.print(screen(Reading(stages=[stage], newest=[hostile], rejected={"echo": 2}), Sent(), 30.0))
    text = console.export_text()
    assert "[bold red]milk[/]" in text
    assert "[link=http://x]tea[/link]" in text
    assert "12 s" in text
    assert "echo 2" in text


def test_the_live_view_names_the_newest_queries_that_can_be_asked_about_and_goes_on_after_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "_log_to", lambda _: None)  # the handlers of this process are pytest's
    console = Console(width=150, record=True, force_terminal=False)
    told: list[Results] = []
    show = LiveShow(console, told.append)
    try:
        for queries in ((), ("milk", "game day snacks")):
            show.update(Reading(askable=queries), Sent(), 30.0)
            show.results(EMPTY)
    finally:
        show.stop()
    assert told == [EMPTY, EMPTY]
    console.print(screen(Reading(askable=("milk", "game day snacks")), Sent(), 30.0))
    assert "answers about: game day snacks, milk" in console.export_text()
    assert "answers about" not in _text(Reading())


def _text(reading: Reading) -> str:
    console = Console(width=150, record=True, force_terminal=False, file=io.StringIO())
    console.print(screen(reading, Sent(), 30.0))
    return console.export_text()


def test_a_second_run_goes_on_with_the_instant_and_the_figures_of_the_first(tmp_path: Path) -> None:
    first = remembered.recall(tmp_path, baskets=10, seed=7, now=NOW).with_sent("query-purchase", FIGURES, 12)
    first = first.with_sent("co-purchase", FIGURES)
    remembered.save(tmp_path, first)
    assert remembered.recall(tmp_path, baskets=10, seed=7, now=NOW + timedelta(days=3)) == first
    assert (remembered.sent(tmp_path).sent, remembered.sent(tmp_path).foreign) == (200, 12)


def test_a_memory_in_which_nobody_noted_the_records_of_others_has_none_of_them(tmp_path: Path) -> None:
    remembered.save(tmp_path, remembered.recall(tmp_path, baskets=10, seed=7, now=NOW).with_sent("a", FIGURES))
    file = tmp_path / "demo.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "foreign"}))
    assert (remembered.sent(tmp_path).sent, remembered.sent(tmp_path).foreign) == (100, None)


def test_a_home_that_holds_other_input_is_not_mixed_with_this_one(tmp_path: Path) -> None:
    remembered.save(tmp_path, remembered.recall(tmp_path, baskets=10, seed=7, now=NOW))
    with pytest.raises(CosmoError, match="10 baskets with seed 7"):
        remembered.recall(tmp_path, baskets=20, seed=7, now=NOW)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"baskets": 1}', '{"now": 5}'])
def test_a_damaged_memory_is_a_new_beginning(tmp_path: Path, content: str) -> None:
    (tmp_path / "demo.json").write_text(content)
    assert remembered.recall(tmp_path, baskets=10, seed=7, now=NOW).sent == {}
