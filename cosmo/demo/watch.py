"""Reads every figure of the demonstration in a thread of its own, so that the screen never waits for a broker."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Self

import httpx
import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cosmo.demo.background import Background
from cosmo.demo.outcome_logs import Entity, OutcomeLogs, Outcomes
from cosmo.demo.reading import Reading
from cosmo.demo.stages import stages, written
from cosmo.lag.reader import LagReader
from cosmo.lag.rules import group_lags
from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from features.online.redis_store import RedisStore, connect
from features.online.store import Ref
from features.views import PRODUCT_COMPLEMENTS, PRODUCT_INTENTS, QUERY_INTENTS, View
from schemas.records import EntityKind
from streams import topics
from streams.kafka.clients import admin

EVERY_S = 1.0
LAG_EVERY_S = 3.0
"""Asking for the offsets of every group costs the broker and us a tenth of a second."""
SETTLE_S = 15.0
ASKED_AT_ONCE = 500
ASKABLE = 5
_VIEWS: dict[EntityKind, tuple[View, ...]] = {
    EntityKind.QUERY: (QUERY_INTENTS,),
    EntityKind.PRODUCT: (PRODUCT_INTENTS, PRODUCT_COMPLEMENTS),
}
_PROMPTS = re.compile(r"^cosmo_lm_prompts_total(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)

log = logs.get(__name__)


@dataclass(slots=True, kw_only=True)
class Watch:
    """``pids`` tells which processes count as ours; ``infer_port`` is where infer serves its metrics; ``started_s`` is
    the beginning of the run on the monotonic clock."""

    settings: Settings
    pids: Callable[[], Iterable[int]]
    infer_port: int
    started_s: float
    _latest: Reading = field(default_factory=Reading)
    _outcomes: Outcomes = field(default_factory=Outcomes)
    _featured: set[Entity] = field(default_factory=set)
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
        """The newest reading. Raises what broke the watching, if anything did: old figures must not look like new."""
        if self._running is not None:
            self._running.done()
        return self._latest

    def best(self, kind: EntityKind, count: int) -> list[str]:
        """Keys of entities that have features, best supported first."""
        known = [(-support, key) for (of, key), support in list(self._outcomes.entities.items()) if of is kind]
        return [key for _, key in sorted(known) if (kind, key) in self._featured][:count]

    def _run(self) -> None:
        looking = _Looking(self.settings)
        self._outcomes = looking.outcome_logs.outcomes
        try:
            with LagReader(self.settings) as lag:
                while not self._closing.is_set():
                    began_s = time.monotonic()
                    self._look(looking, lag)
                    self._closing.wait(max(0.0, began_s + EVERY_S - time.monotonic()))
        finally:
            looking.close()

    def _look(self, looking: _Looking, lag: LagReader) -> None:
        """Each part by itself: one that does not answer keeps its last figures and hinders no other."""
        for part in (self._outcome_figures, self._store_figures, self._offset_figures):
            try:
                self._latest = part(self._latest, looking, lag)
            except (CosmoError, KafkaException) as error:
                log.debug("a figure is not to be had", reason=str(error))
        self._latest = self._with_processes(self._latest)

    def _outcome_figures(self, reading: Reading, looking: _Looking, _lag: LagReader) -> Reading:
        outcomes = looking.outcome_logs.read(0.2)
        return replace(
            reading,
            intents_kept=outcomes.kept,
            rejected=dict(outcomes.rejected.most_common()),
            dead_letters=_flat(outcomes.dead),
            newest=tuple(outcomes.newest),
        )

    def _store_figures(self, reading: Reading, looking: _Looking, _lag: LagReader) -> Reading:
        unseen = [entity for entity in self._outcomes.entities if entity not in self._featured]
        fresh = looking.with_features(unseen[:ASKED_AT_ONCE])
        self._featured |= fresh
        queries = (key for kind, key in unseen if kind is EntityKind.QUERY and (kind, key) in fresh)
        askable = (*reading.askable, *queries)[-ASKABLE:]
        first_s = reading.first_feature_s
        if self._featured and first_s is None:
            first_s = time.monotonic() - self.started_s
        return replace(reading, entities=len(self._featured), first_feature_s=first_s, askable=askable)

    def _offset_figures(self, reading: Reading, looking: _Looking, lag: LagReader) -> Reading:
        now_s = time.monotonic()
        if now_s < looking.offsets_due_s:
            return reading
        looking.offsets_due_s = now_s + LAG_EVERY_S
        groups = {group.group: group for group in group_lags(lag.read())}
        ends = written(looking.admin, self.settings)
        found = stages(groups, ends, reading.entities, self.settings.topic_prefix)
        queued = next((stage.lag for stage in found if stage.name == "infer"), None)
        pairs = ends[topics.BEHAVIOR_PAIRS.name]
        return replace(reading, stages=found, pairs=pairs, queued_pairs=queued, prompts=self._prompts())

    def _prompts(self) -> int | None:
        with suppress(httpx.HTTPError):
            page = httpx.get(f"http://127.0.0.1:{self.infer_port}/metrics", timeout=1.0, trust_env=False).text
            counts = _PROMPTS.findall(page)
            return int(sum(map(float, counts))) if counts else None
        return self._latest.prompts

    def _with_processes(self, reading: Reading) -> Reading:
        rss = sum(map(_rss_bytes, self.pids()))
        return replace(reading, rss_bytes=rss, peak_rss_bytes=max(rss, reading.peak_rss_bytes or 0))


class _Looking:
    """The connections of the watching thread."""

    def __init__(self, settings: Settings) -> None:
        self.outcome_logs = OutcomeLogs(settings)
        self.admin: AdminClient = admin(settings)
        self.offsets_due_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._store: RedisStore = connect(settings)

    def with_features(self, entities: list[Entity]) -> set[Entity]:
        """Those of the entities of which the store holds a row. Raises StoreUnreachable or StoreRefused."""
        asked = [(entity, view) for entity in entities for view in _VIEWS[entity[0]]]
        if not asked:
            return set()
        refs = [Ref(view, key) for (_, key), view in asked]
        rows = self._loop.run_until_complete(self._store.read(refs, {ref.view: ("updated_at",) for ref in refs}))
        return {entity for (entity, _), row in zip(asked, rows, strict=True) if row.version is not None}

    def close(self) -> None:
        with ExitStack() as undo:
            undo.callback(self._loop.close)
            undo.callback(lambda: self._loop.run_until_complete(self._store.close()))
            undo.callback(self.outcome_logs.close)


def _flat(dead: Counter[tuple[str, str]]) -> dict[str, int]:
    return {f"{topic} {reason}": count for (topic, reason), count in dead.most_common()}


def _rss_bytes(pid: int) -> int:
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
