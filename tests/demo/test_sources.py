"""A figure whose source does not answer is unknown, and says since when and why; an old one is never shown as new."""

from __future__ import annotations

import json
import os
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from cosmo.cli.demo import print_results
from cosmo.demo import watch as watching
from cosmo.demo.ending import During, End, Ending
from cosmo.demo.outcome_logs import DEAD, RECORDS, Entity, OutcomeLogs, Outcomes
from cosmo.demo.reading import Reading, Sent, Stage, Unread
from cosmo.demo.record import summary
from cosmo.demo.scrape import Page, held_back
from cosmo.demo.show import Results, line_of
from cosmo.demo.sources import OF_WORKERS, STALE_S, START_S, Freshness, RisingCount, Source, after_workers, without
from cosmo.demo.watch import Watch
from cosmo.runtime.settings import Settings
from features.errors import StoreUnreachable
from schemas.codec import Codec
from schemas.errors import RegistryUnreachable
from schemas.fixed_registry import FixedRegistry
from schemas.records import EntityIntent, EntityKind
from tests.demo.listed import listed
from tests.features.examples import intent

NOW = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
MILK: Entity = (EntityKind.QUERY, "milk")
TEA: Entity = (EntityKind.QUERY, "tea")
FULL = Reading(
    stages=(Stage(name="ingest", taken=5, given=4, refused=0, lag=0, lag_s=0.0),),
    pairs=3,
    prompts=9,
    intents_kept=2,
    rejected={"echo": 1},
    dead_letters={"query-purchase null_value": 1},
    entities=2,
    learned_now=1,
    askable=("milk",),
    queued_pairs=1,
    held_back_pairs=700,
    newest=(intent(),),
    first_feature_s=12.0,
)


def test_a_source_is_unread_once_its_last_answer_is_old_and_again_read_with_the_next() -> None:
    freshness = Freshness.since(100.0)
    for source in Source:
        freshness.read(source, 100.0)
    freshness.failed(Source.PROMPTS, "refused")
    assert freshness.unread(100.0 + STALE_S) == {}
    for source in set(Source) - {Source.PROMPTS}:
        freshness.read(source, 130.0)
    assert freshness.unread(131.0) == {Source.PROMPTS: Unread(seconds=31.0, reason="refused")}
    freshness.read(Source.PROMPTS, 132.0)
    assert freshness.unread(132.0) == {}


def test_a_watcher_that_hangs_makes_everything_unknown_without_a_word_from_it() -> None:
    assert set(Freshness.since(0.0).unread(START_S + 1.0)) == set(Source)


def test_a_worker_that_only_starts_raises_no_alarm_and_one_that_falls_silent_does() -> None:
    freshness = Freshness.since(0.0)
    freshness.failed(Source.PROMPTS, "Connection refused")
    assert set(freshness.unread(START_S)) == set(Source) - OF_WORKERS
    freshness.read(Source.PROMPTS, 20.0)
    freshness.failed(Source.PROMPTS, "Connection refused")
    assert Source.PROMPTS in freshness.unread(20.0 + STALE_S + 1.0)


@pytest.mark.parametrize(
    ("source", "unknown"),
    [
        (Source.OUTCOMES, {"intents_kept", "rejected", "dead_letters"}),
        (Source.STORE, {"entities", "learned_now", "askable"}),
        (Source.OFFSETS, {"stages", "pairs", "queued_pairs"}),
        (Source.PROMPTS, {"prompts"}),
        (Source.HELD_BACK, {"held_back_pairs"}),
    ],
)
def test_the_figures_of_an_unread_source_are_unknown_and_no_others(source: Source, unknown: set[str]) -> None:
    shown = without(FULL, {source: Unread(seconds=31.0, reason="refused")})
    changed = {name for name in Reading.__slots__ if getattr(shown, name) != getattr(FULL, name)}
    assert changed == unknown | {"unread"}
    assert shown.first_feature_s == 12.0


def test_people_and_the_summary_are_told_which_source_is_silent_and_since_when(
    capsys: pytest.CaptureFixture[str],
) -> None:
    silent = without(FULL, {Source.OFFSETS: Unread(seconds=31.25, reason="no broker.")})
    line = line_of(silent, Sent(), 60.0)
    assert "ingest ? (lag ?)" in line
    assert "the groups' offsets not read for 31 s: no broker" in line
    end = End(ending=Ending.LIMIT, during=During.RUN)
    document = json.loads(json.dumps(summary(silent, Sent(), started_at=NOW, seconds=60.0, end=end)))
    assert document["pairs"] is None
    assert document["waiting"] == {"pairs_released": None, "pairs_held_back": 700, "records": {"ingest": None}}
    assert document["unread"] == {"the groups' offsets": {"seconds": 31.2, "reason": "no broker."}}
    print_results(
        Results(answers=(), addresses=(), reading=silent, sent=Sent(), remaining="", serving=False, ending="Over.")
    )
    assert "Not known: the groups' offsets not read for 31 s" in capsys.readouterr().out


@given(st.lists(st.lists(st.integers(0, 50)), max_size=5))
def test_a_count_goes_on_when_its_process_begins_anew(lives: list[list[int]]) -> None:
    count, total, seen = RisingCount(), 0, 0
    for rises in lives:
        now = 0
        for rise in (0, *rises):
            now += rise
            seen = count.total(now)
        total += now
    assert seen == total


@dataclass(slots=True, kw_only=True)
class Logs:
    """Outcome logs of which the ends were reached, or not yet."""

    complete: bool = True
    outcomes: Outcomes = field(default_factory=Outcomes)

    def read(self, _timeout_s: float) -> Outcomes:
        return self.outcomes


@dataclass(slots=True)
class Looking:
    """A store with the instants of its rows; silent where it is told to be."""

    rows: dict[Entity, datetime | None] = field(default_factory=dict)
    silent: bool = False
    due_s: dict[Source, float] = field(default_factory=dict)
    outcome_logs: Logs = field(default_factory=Logs)

    def close(self) -> None:
        """There is nothing to close."""

    def features(self, entities: list[Entity]) -> dict[Entity, datetime | None]:
        if self.silent:
            raise StoreUnreachable("Redis does not answer.")
        return {entity: self.rows[entity] for entity in entities if entity in self.rows}


def _watch() -> Watch:
    return Watch(settings=Settings(), pids=list, infer_port=1, sample_port=2, started_s=0.0, started_at=NOW)


def _learn(watch: Watch, entity: Entity, when: datetime) -> None:
    made = intent(generated_time=when)
    watch._outcomes.add_entity(EntityIntent(entity_kind=entity[0], entity_key=entity[1], intent=made))


def test_the_first_feature_of_a_run_is_one_that_this_run_has_learned() -> None:
    earlier, now = NOW - timedelta(hours=1), NOW + timedelta(seconds=9)
    watch, looking = _watch(), Looking(rows={MILK: earlier})
    _learn(watch, MILK, earlier)
    found = watch._store_figures(Reading(), looking, None)  # type: ignore[arg-type]  # all of it that is asked
    assert (found.entities, found.learned_now, found.first_feature_s, found.askable) == (1, 0, None, ("milk",))
    _learn(watch, MILK, now)  # made, and not in the store yet
    found = watch._store_figures(found, looking, None)  # type: ignore[arg-type]
    assert (found.learned_now, found.first_feature_s) == (0, None)
    looking.rows[MILK] = now
    found = watch._store_figures(found, looking, None)  # type: ignore[arg-type]
    assert (found.entities, found.learned_now, found.askable) == (1, 1, ("milk",))
    assert found.first_feature_s is not None


def test_a_feature_of_the_second_in_which_the_run_began_is_its_own() -> None:
    watch, looking = _watch(), Looking(rows={TEA: NOW.replace(microsecond=0)})
    _learn(watch, TEA, NOW)
    assert watch._store_figures(Reading(), looking, None).learned_now == 1  # type: ignore[arg-type]


def test_what_an_earlier_run_left_is_unknown_and_not_zero_until_all_of_it_was_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "CATCH_UP_S", 0.0)
    monkeypatch.setattr(watching, "ASKED_AT_ONCE", 1)
    watch, looking = _watch(), Looking(rows={MILK: None, TEA: None}, outcome_logs=Logs(complete=False))
    _learn(watch, MILK, NOW - timedelta(hours=1))
    found = watch._outcome_figures(Reading(), looking, None)  # type: ignore[arg-type]  # all of it that is asked
    found = watch._store_figures(found, looking, None)  # type: ignore[arg-type]
    assert (found.intents_kept, found.rejected, found.dead_letters) == (None, None, None)
    assert (found.entities, found.learned_now) == (None, None)
    assert "entities ?" in line_of(found, Sent(), 1.0)
    _learn(watch, TEA, NOW - timedelta(hours=1))
    looking.outcome_logs.complete = True
    found = watch._outcome_figures(found, looking, None)  # type: ignore[arg-type]
    assert (found.intents_kept, found.rejected, found.dead_letters) == (0, {}, {})
    found = watch._store_figures(found, looking, None)  # type: ignore[arg-type]
    assert (found.entities, found.learned_now) == (2, 0)


def test_entities_that_the_store_was_not_asked_about_yet_make_their_number_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "CATCH_UP_S", 0.0)
    monkeypatch.setattr(watching, "ASKED_AT_ONCE", 1)
    watch, looking, reading = _watch(), Looking(rows={MILK: None, TEA: None}), Reading()
    for entity in (MILK, TEA):
        _learn(watch, entity, NOW - timedelta(hours=1))
    counts = []
    for _ in range(3):
        reading = watch._store_figures(reading, looking, None)  # type: ignore[arg-type]
        counts.append(reading.entities)
    assert counts == [None, 2, 2]


def test_the_memory_is_known_as_soon_as_anything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    known_before: list[int | None] = []
    watch = replace(_watch(), pids=lambda: [os.getpid()])

    def figures(_self: Watch, reading: Reading, *_: object) -> Reading:
        known_before.append(reading.peak_rss_bytes)
        return reading

    for part in ("_outcome_figures", "_store_figures", "_offset_figures", "_prompt_figures", "_held_back_figures"):
        monkeypatch.setattr(Watch, part, figures)
    watch._look(Looking(), None)  # type: ignore[arg-type]
    assert all(known_before)


PAGE_OF_SAMPLE = """# TYPE cosmo_waiting_pairs gauge
cosmo_waiting_pairs{lane="search"} 694.0
cosmo_waiting_pairs{lane="basket"} 1858.0
cosmo_waiting_pairs{lane="low_engagement"} 33.0
cosmo_qualified_pairs{partition="0"} 3000.0
"""


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (PAGE_OF_SAMPLE, 694 + 1858 + 33),
        (PAGE_OF_SAMPLE.replace("_waiting_", "_other_"), None),
        ('cosmo_waiting_pairs{lane="search"} 0.0\n', None),
        ('cosmo_waiting_pairs{lane="search"} 0.0\ncosmo_qualified_pairs{partition="0"} 0.0\n', 0),
    ],
)
def test_what_sample_holds_back_is_the_sum_of_its_lanes_and_unknown_before_it_has_looked(
    text: str, held: int | None
) -> None:
    assert held_back(Page.of(text)) == held


def test_a_source_that_fails_hinders_no_other_and_its_figures_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = iter([200, 500])

    def answer(url: str, **_: object) -> httpx.Response:
        of_sample = ":2/" in url
        page = PAGE_OF_SAMPLE if of_sample else 'cosmo_lm_prompts_total{outcome="ok"} 7.0\n'
        status = 200 if of_sample else next(prompts)
        return httpx.Response(status, text=page, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", answer)
    monkeypatch.setattr(Watch, "_outcome_figures", lambda _self, reading, *_: replace(reading, intents_kept=3))
    monkeypatch.setattr(Watch, "_offset_figures", lambda _self, reading, *_: replace(reading, pairs=4))
    watch, looking = _watch(), Looking(silent=True)
    for _ in range(2):
        looking.due_s.clear()
        watch._look(looking, None)  # type: ignore[arg-type]
    assert (watch.latest.intents_kept, watch.latest.pairs, watch.latest.prompts) == (3, 4, 7)
    assert watch.latest.held_back_pairs == 694 + 1858 + 33
    watch._freshness = replace(watch._freshness, began_s=-START_S, _read_s={})
    assert watch.latest.unread[Source.STORE].reason == "Redis does not answer."
    assert "500" in watch.latest.unread[Source.PROMPTS].reason
    assert watch.latest.prompts is None


def test_everything_is_looked_at_once_more_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    first = threading.Event()
    looks: list[tuple[bool, bool]] = []

    def look(watch: Watch, looking: Looking, _lag: object) -> None:
        looks.append((watch._closing.is_set(), not looking.due_s))
        looking.due_s[Source.OFFSETS] = float("inf")
        first.set()

    monkeypatch.setattr(watching, "LagReader", lambda *_, **__: nullcontext())
    monkeypatch.setattr(OutcomeLogs, "of", lambda _: nullcontext(Logs()))
    monkeypatch.setattr(watching, "_Looking", lambda *_: Looking())
    monkeypatch.setattr(Watch, "_look", look)
    with _watch():
        assert first.wait(5.0)
    assert looks[0] == (False, True)
    assert looks[-1] == (True, True)


def test_what_only_the_workers_tell_is_what_they_told_before_they_ended() -> None:
    silent = Unread(seconds=31.0, reason="refused")
    before = without(FULL, {Source.OFFSETS: silent})
    now = without(replace(FULL, intents_kept=474), {Source.PROMPTS: silent, Source.HELD_BACK: silent})
    after = after_workers(now, before)
    assert (after.intents_kept, after.prompts, after.held_back_pairs) == (474, FULL.prompts, FULL.held_back_pairs)
    assert (after.pairs, after.unread) == (FULL.pairs, {})
    assert after_workers(FULL, now).unread == now.unread


@dataclass(slots=True)
class Message:
    """One record of the entities' topic."""

    sent: bytes

    def error(self) -> KafkaError | None:
        return None

    def topic(self) -> str:
        return "entity-intents"

    def value(self) -> bytes:
        return self.sent

    def headers(self) -> list[tuple[str, bytes]]:
        return []


class OneFetch:
    """A consumer of topics of two partitions that hands out its records once."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def list_topics(self, *, timeout: float) -> Any:
        return listed(dict.fromkeys((*RECORDS, *DEAD), 2))

    def assign(self, partitions: list[TopicPartition]) -> None:
        assert len(partitions) == 2 * len([*RECORDS, *DEAD])

    def consume(self, num_messages: int, timeout: float) -> Any:
        given, self._messages = self._messages, []
        return given


class FailingCodec:
    """A codec whose registry is away at its second record, once."""

    def __init__(self, codec: Codec[EntityIntent]) -> None:
        self._codec = codec
        self._calls = 0

    def decode(self, value: bytes, headers: Any) -> EntityIntent:
        self._calls += 1
        if self._calls == 2:
            raise RegistryUnreachable("The registry does not answer.")
        return self._codec.decode(value, headers)


def test_what_was_fetched_while_the_registry_was_away_is_counted_when_it_is_back() -> None:
    codec = Codec("entity-intents", EntityIntent, FixedRegistry())
    entities = [EntityIntent(entity_kind=EntityKind.QUERY, entity_key=name, intent=intent()) for name in "abc"]
    logs = OutcomeLogs(OneFetch([Message(codec.encode(one)) for one in entities]), FixedRegistry())
    logs._codecs = {"entity-intents": FailingCodec(codec)}  # type: ignore[dict-item]
    with pytest.raises(RegistryUnreachable):
        logs.read(0.0)
    assert [name for _, name in logs.read(0.0).entities] == ["a", "b", "c"]
