"""One fetch of entity-intents: what becomes of good records, of bad ones, and of a store that is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.waiting import WAITING, GivenUp
from features.materialize.handler import MaterializeHandler
from features.offline.history import History
from features.online.store import Ref, Stored
from features.online.writer import Writer, decode_state
from features.views import PRODUCT_INTENTS, QUERY_INTENTS
from inference.sink import IntentSink
from schemas.codec import Codec
from schemas.errors import RegistryUnreachable
from schemas.fixed_registry import FixedRegistry
from schemas.patient import DEPENDENCY, PatientRegistry
from schemas.records import EntityIntent, EntityKind, Intent
from streams.fetch.handler import Bad, Fetch, RawRecord
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer
from tests.features.examples import NOW, TOP_3, UMBRELLA, intent
from tests.features.memory_store import FailingStore, MemoryStore

CODEC = Codec("entity-intents", EntityIntent, FixedRegistry())
QUERY = Ref(QUERY_INTENTS, "umbrella for storms")
PRODUCT = Ref(PRODUCT_INTENTS, UMBRELLA.product_id)


class NotedDeadLetters(DeadLetters):
    """Keeps what was sent; confirms when told to."""

    def __init__(self) -> None:
        self.reasons: list[tuple[int, str]] = []
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def enqueue(self, topic: str, partition: int, bad: Bad) -> asyncio.Future[None]:
        self.reasons.append((bad.record.offset, bad.reason))
        return self.confirmed

    def account(self, fetch: Fetch, bad: Sequence[Bad], *, again: bool = False) -> None:
        pass


class NotedProducer(ConfirmingProducer):
    """Keeps what was sent; confirms when told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None]] = []
        self.confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def enqueue(self, topic: str, value: bytes | None, **_: Any) -> asyncio.Future[None]:
        self.sent.append((topic, value))
        return self.confirmed


def handler(store: MemoryStore, root: Path) -> MaterializeHandler:
    return MaterializeHandler(
        codec=CODEC,
        writer=Writer(store, TOP_3, now=lambda: NOW),
        history=History(root, 0.0),
        dead_letters=NotedDeadLetters(),
        sink=IntentSink(NotedProducer(), FixedRegistry()),
        now=lambda: NOW,
    )


def value(
    kind: EntityKind = EntityKind.QUERY, key: str = QUERY.key, *, retracted: bool = False, of: Intent | None = None
) -> bytes:
    return CODEC.encode(EntityIntent(entity_kind=kind, entity_key=key, retracted=retracted, intent=of or intent()))


def fetch(*values: bytes | None) -> Fetch:
    return Fetch("entity-intents", 0, [RawRecord(offset, 0, b"k", value) for offset, value in enumerate(values)])


async def test_each_entity_of_a_fetch_gets_its_features(tmp_path: Path) -> None:
    store = MemoryStore()
    await (await handler(store, tmp_path).handle(fetch(value(), value(EntityKind.PRODUCT, UMBRELLA.product_id))))
    assert set(store.rows) == {QUERY, PRODUCT}
    assert {path.parent.name for path in written(tmp_path)} == {"query_intents", "product_intents"}


async def test_a_bad_record_goes_to_the_dead_letters_and_its_neighbours_go_through(tmp_path: Path) -> None:
    store = MemoryStore()
    worker = handler(store, tmp_path)
    promise = asyncio.ensure_future(
        await worker.handle(fetch(b"junk", value(), None, value(EntityKind.PRODUCT, "B77"), value()))
    )
    assert isinstance(worker.dead_letters, NotedDeadLetters)
    assert worker.dead_letters.reasons == [(0, "wrong_magic"), (2, "null_value"), (3, "foreign_entity")]
    assert set(store.rows) == {QUERY}
    await worker.stop(Deadline.after(5.0))
    assert not promise.done()  # the dead letters are not confirmed yet
    worker.dead_letters.confirmed.set_result(None)
    await promise


async def test_records_of_a_row_that_cannot_be_read_go_to_the_dead_letters_and_the_fetch_ends(tmp_path: Path) -> None:
    """To wait for the row, or to stop, would hold up every other row of the partition, and again after each restart."""
    store = MemoryStore(rows={QUERY: Stored(None, {}, damage="its key holds something else than a hash")})
    worker = handler(store, tmp_path)
    assert isinstance(worker.dead_letters, NotedDeadLetters)
    worker.dead_letters.confirmed.set_result(None)
    await (await worker.handle(fetch(value(), value(EntityKind.PRODUCT, UMBRELLA.product_id))))
    assert worker.dead_letters.reasons == [(0, "damaged_row")]
    assert store.rows[QUERY].version is None
    assert store.rows[PRODUCT].version is not None


async def test_a_fetch_delivered_again_writes_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    for _ in range(2):
        await (await handler(store, tmp_path).handle(fetch(value())))
    assert store.replaced == 1


async def test_a_retraction_in_the_same_fetch_wins(tmp_path: Path) -> None:
    store = MemoryStore()
    await (await handler(store, tmp_path).handle(fetch(value(), value(retracted=True))))
    assert entries_stored(store) == 0


async def test_what_an_older_edition_overtook_is_in_the_log_again_before_the_fetch_is_acked(tmp_path: Path) -> None:
    """Else compaction would keep the older one, and a rebuild would serve it."""
    newer = intent(event_time=NOW, support=8)
    worker = handler(MemoryStore(), tmp_path)
    promise = asyncio.ensure_future(await worker.handle(fetch(value(of=newer), value())))
    producer = worker.sink.producer
    assert isinstance(producer, NotedProducer)
    kept = Codec("intents", Intent, FixedRegistry())
    (logged,) = [kept.decode(sent) for topic, sent in producer.sent if topic == "intents"]
    assert logged == newer
    told = [CODEC.decode(sent) for topic, sent in producer.sent if topic == "entity-intents"]
    assert [(record.entity_key, record.intent) for record in told] == [(QUERY.key, newer), (PRODUCT.key, newer)]
    await worker.stop(Deadline.after(5.0))
    assert not promise.done()  # the brokers have not confirmed it yet
    producer.confirmed.set_result(None)
    await promise


async def test_evidence_that_comes_after_its_retraction_leaves_a_tombstone_in_the_log(tmp_path: Path) -> None:
    worker = handler(MemoryStore(), tmp_path)
    producer = worker.sink.producer
    assert isinstance(producer, NotedProducer)
    producer.confirmed.set_result(None)
    await (await worker.handle(fetch(value(), value(retracted=True), value())))
    assert [sent for topic, sent in producer.sent if topic == "intents"] == [None]
    assert all(CODEC.decode(sent).retracted for topic, sent in producer.sent if topic == "entity-intents")


async def test_while_the_store_is_away_the_fetch_is_held_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmo.runtime.waiting.FIRST_PAUSE_S", 0.0)
    store = FailingStore(failures=100)
    await (await handler(store, tmp_path).handle(fetch(value())))
    assert (store.failures, entries_stored(store)) == (0, 1)


async def test_a_large_fetch_is_worked_off_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.materialize.handler.SLICE", 2)
    store = MemoryStore()
    await (await handler(store, tmp_path).handle(fetch(*[value()] * 5)))
    assert set(store.rows) == {QUERY}


def written(root: Path) -> list[Path]:
    return list(root.glob("*/*.parquet"))


def entries_stored(store: MemoryStore) -> int:
    return len(decode_state(QUERY, store.rows[QUERY]).entries)


class SilentRegistry(FixedRegistry):
    """Never answers."""

    def schema_by_id(self, schema_id: int) -> Any:
        raise RegistryUnreachable("It does not answer.")


async def test_a_stop_ends_the_wait_for_a_registry_that_is_away(tmp_path: Path) -> None:
    """The fetch is not acked, and comes again."""
    stopping = threading.Event()
    worker = handler(MemoryStore(), tmp_path)
    worker.codec = Codec("entity-intents", EntityIntent, PatientRegistry(SilentRegistry(), stopping))
    handling = asyncio.create_task(worker.handle(fetch(value())))
    await asyncio.wait({handling}, timeout=0.2)
    assert not handling.done()
    stopping.set()
    with pytest.raises(GivenUp):
        await asyncio.wait_for(handling, 5.0)
    WAITING.answered(DEPENDENCY)  # the process would have ended; the tests' goes on
