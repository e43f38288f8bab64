"""Reads every figure of the demonstration in a thread of its own, so that the screen never waits for a broker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import httpx
import psutil
from confluent_kafka import Consumer, KafkaException

from cosmo.demo.background import Background
from cosmo.demo.outcome_logs import Entity, OutcomeLogs, Outcomes
from cosmo.demo.reading import Reading
from cosmo.demo.scrape import held_back, page_at, prompts
from cosmo.demo.sources import Freshness, RisingCount, Source, without
from cosmo.demo.stages import stages, written
from cosmo.lag.reader import LagReader
from cosmo.lag.rules import group_lags
from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from features.online.format import decode_row
from features.online.redis_store import RedisStore, connect
from features.online.store import Ref
from features.rows import Value
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, View
from schemas.records import EntityKind
from streams import topics
from streams.kafka.clients import log_reader

EVERY_S: Mapping[Source, float] = {
    Source.OUTCOMES: 1.0,
    Source.STORE: 1.0,
    Source.OFFSETS: 3.0,  # asking for every group's costs the broker and us a tenth of a second
    Source.PROMPTS: 3.0,
    Source.HELD_BACK: 3.0,
}
TURN_S = 1.0
PATIENCE_S = 4.0
"""With brokers, in one turn: the other sources wait meanwhile, and must not look silent for that."""
SETTLE_S = 15.0
CATCH_UP_S = 0.5
"""Of each turn, for what an earlier run has left, until all of it is counted."""
ASKED_AT_ONCE = 500
ASKABLE = 5
_VIEWS: dict[EntityKind, tuple[View, ...]] = {
    EntityKind.QUERY: (QUERY_INTENTS,),
    EntityKind.PRODUCT: (PRODUCT_INTENTS, PRODUCT_COMPLEMENTS),
}

log = logs.get(__name__)


@dataclass(slots=True, kw_only=True)
class Watch:
    """``pids`` tells which processes count as ours; ``infer_port`` and ``sample_port`` are where these serve their
    metrics; ``started_s`` is the beginning of the run on the monotonic clock, ``started_at`` by the calendar.

    At the end of the block it looks at everything once more, and `latest` tells that from then on."""

    settings: Settings
    pids: Callable[[], Iterable[int]]
    infer_port: int
    sample_port: int
    started_s: float
    started_at: datetime
    _latest: Reading = field(default_factory=Reading)
    _freshness: Freshness = field(default_factory=lambda: Freshness.since(time.monotonic()))
    _prompts: RisingCount = field(default_factory=RisingCount)
    _outcomes: Outcomes = field(default_factory=Outcomes)
    _asked: set[Entity] = field(default_factory=set)
    """Those that the store was asked about at all."""
    _featured: set[Entity] = field(default_factory=set)
    _learned_now: set[Entity] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)
    _running: Background | None = None

    def __enter__(self) -> Self:
        self._running = Background(self._run, "demo-watch")
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._running is not None:
            self._running.wait(SETTLE_S)

    @property
    def latest(self) -> Reading:
        """The newest reading, without what is old. Raises what broke the watching, if anything did."""
        if self._running is not None:
            self._running.done()
        return without(self._latest, self._freshness.unread(time.monotonic()))

    def best(self, kind: EntityKind, count: int) -> list[str]:
        """Keys of entities that have features, best supported first."""
        known = [(-support, key) for (of, key), support in list(self._outcomes.entities.items()) if of is kind]
        return [key for _, key in sorted(known) if (kind, key) in self._featured][:count]

    def _run(self) -> None:
        with LagReader(self.settings, timeout_s=PATIENCE_S) as lag, OutcomeLogs.of(self.settings) as outcome_logs:
            self._outcomes = outcome_logs.outcomes
            with closing(_Looking(self.settings, outcome_logs)) as looking:
                while not self._closing.is_set():
                    began_s = time.monotonic()
                    self._look(looking, lag)
                    self._closing.wait(max(0.0, began_s + TURN_S - time.monotonic()))
                looking.due_s.clear()
                self._look(looking, lag)

    def _look(self, looking: _Looking, lag: LagReader) -> None:
        """Each source by itself: one that does not answer hinders no other, and its figures grow old. First what needs
        no answer: a second run may have reached its goal with the first figures."""
        self._latest = self._with_processes(self._latest)
        parts = {
            Source.OUTCOMES: self._outcome_figures,
            Source.STORE: self._store_figures,
            Source.OFFSETS: self._offset_figures,
            Source.PROMPTS: self._prompt_figures,
            Source.HELD_BACK: self._held_back_figures,
        }
        for source, part in parts.items():
            now_s = time.monotonic()
            if now_s < looking.due_s.get(source, 0.0):
                continue
            looking.due_s[source] = now_s + EVERY_S[source]
            try:
                self._latest = part(self._latest, looking, lag)
            except (CosmoError, KafkaException, httpx.HTTPError) as error:
                log.debug("a figure is not to be had", source=source, reason=str(error))
                self._freshness.failed(source, str(error))
            else:
                self._freshness.read(source, now_s)

    def _outcome_figures(self, reading: Reading, looking: _Looking, _lag: LagReader) -> Reading:
        logs, until_s = looking.outcome_logs, time.monotonic() + CATCH_UP_S
        outcomes = logs.read(0.2)
        while not logs.complete and time.monotonic() < until_s:
            outcomes = logs.read(0.1)
        reading = replace(reading, newest=tuple(outcomes.newest))
        if not logs.complete:
            return replace(reading, intents_kept=None, rejected=None, dead_letters=None)
        rejected, dead = dict(outcomes.rejected.most_common()), _flat(outcomes.dead)
        return replace(reading, intents_kept=outcomes.kept, rejected=rejected, dead_letters=dead)

    def _store_figures(self, reading: Reading, looking: _Looking, _lag: LagReader) -> Reading:
        began = self.started_at.replace(microsecond=0)  # features keep the second
        found = self._found(looking, began)
        queries = [key for kind, key in found if kind is EntityKind.QUERY and (kind, key) not in self._featured]
        self._featured |= found.keys()
        self._learned_now |= {entity for entity, updated_at in found.items() if updated_at and updated_at >= began}
        first_s = reading.first_feature_s
        if self._learned_now and first_s is None:
            first_s = time.monotonic() - self.started_s
        counted = reading.entities is not None or self._all_asked(looking)
        return replace(
            reading,
            entities=len(self._featured) if counted else None,
            learned_now=len(self._learned_now) if counted else None,
            first_feature_s=first_s,
            askable=(*reading.askable, *queries)[-ASKABLE:],
        )

    def _found(self, looking: _Looking, began: datetime) -> dict[Entity, datetime | None]:
        """What the store has of entities of which it may have more than was seen: first those that it was never asked
        about, and of them as many as the time allows; then those of which nothing was seen."""
        asked = [entity for entity, made in self._outcomes.learned.items() if self._has_more(entity, made >= began)]
        asked.sort(key=lambda entity: (entity in self._asked, entity in self._featured))
        found: dict[Entity, datetime | None] = {}
        until_s = time.monotonic() + CATCH_UP_S
        for batch in _batched(asked, ASKED_AT_ONCE):
            found |= looking.features(batch)
            self._asked.update(batch)
            if time.monotonic() >= until_s or self._all_asked(looking):
                break
        return found

    def _all_asked(self, looking: _Looking) -> bool:
        """Whether every entity that the logs name was asked about, in logs that were read to their ends. Before that
        a number of entities would be that of a part of them."""
        return looking.outcome_logs.complete and self._outcomes.learned.keys() <= self._asked

    def _has_more(self, entity: Entity, learned_now: bool) -> bool:
        """Whether the store may have something of the entity that was not seen there yet."""
        return entity not in self._featured or (learned_now and entity not in self._learned_now)

    def _offset_figures(self, reading: Reading, looking: _Looking, lag: LagReader) -> Reading:
        groups = {group.group: group for group in group_lags(lag.read())}
        ends = written(looking.log, self.settings.topic_prefix, PATIENCE_S)
        found = stages(groups, ends, reading.entities, self.settings.topic_prefix)
        queued = next((stage.lag for stage in found if stage.name == "infer"), None)
        pairs = ends[topics.BEHAVIOR_PAIRS.name]
        return replace(reading, stages=found, pairs=pairs, queued_pairs=queued)

    def _prompt_figures(self, reading: Reading, _looking: _Looking, _lag: LagReader) -> Reading:
        return replace(reading, prompts=self._prompts.total(prompts(page_at(self.infer_port))))

    def _held_back_figures(self, reading: Reading, _looking: _Looking, _lag: LagReader) -> Reading:
        return replace(reading, held_back_pairs=held_back(page_at(self.sample_port)))

    def _with_processes(self, reading: Reading) -> Reading:
        rss = sum(map(_rss_bytes, self.pids()))
        return replace(reading, rss_bytes=rss, peak_rss_bytes=max(rss, reading.peak_rss_bytes or 0))


class _Looking:
    """The connections of the watching thread."""

    def __init__(self, settings: Settings, outcome_logs: OutcomeLogs) -> None:
        self.outcome_logs = outcome_logs
        self.log: Consumer = log_reader(settings)
        self.due_s: dict[Source, float] = {}
        self._loop = asyncio.new_event_loop()
        self._store: RedisStore = connect(settings)

    def features(self, entities: list[Entity]) -> dict[Entity, datetime | None]:
        """Those of the entities of which the store holds a row, and when the newest intent in it was made. Raises
        StoreUnreachable or StoreRefused."""
        asked = [(entity, view) for entity in entities for view in _VIEWS[entity[0]]]
        refs = [Ref(view, key) for (_, key), view in asked]
        rows = self._loop.run_until_complete(self._store.read(refs, {ref.view: ("updated_at",) for ref in refs}))
        found: dict[Entity, datetime | None] = {}
        for (entity, view), row in zip(asked, rows, strict=True):
            if row.version is not None:
                found[entity] = _newer(found.get(entity), decode_row(view, row.fields, ("updated_at",))["updated_at"])
        return found

    def close(self) -> None:
        with ExitStack() as undo:
            undo.callback(self.log.close)
            undo.callback(self._loop.close)
            undo.callback(lambda: self._loop.run_until_complete(self._store.close()))


def _batched(entities: Sequence[Entity], size: int) -> Iterator[list[Entity]]:
    """In their order, at most so many at a time; one empty batch of none, which asks whether the store answers."""
    for first in range(0, max(1, len(entities)), size):
        yield list(entities[first : first + size])


def _flat(dead: Counter[tuple[str, str]]) -> dict[str, int]:
    return {f"{topic} {reason}": count for (topic, reason), count in dead.most_common()}


def _newer(one: datetime | None, other: Value) -> datetime | None:
    known = [instant for instant in (one, other) if isinstance(instant, datetime)]
    return max(known, default=None)


def _rss_bytes(pid: int) -> int:
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
