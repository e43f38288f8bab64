"""Moving the sampler's state: killed after any of its steps and run again, it ends where an undisturbed run ends."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import PairCounts
from streams.blocks import LAYOUT, TOTALS_HEAD, to_ipc
from streams.ingest.facts import Tables
from streams.sampling.repartition import Moved, Repartition
from streams.state.kafka import segment_log
from streams.state.partition import SCHEMAS, PartitionState, Table
from streams.state.tables import ASKED
from tests.sampling.cluster import NOW
from tests.sampling.examples import bought, orders, searches
from tests.sampling.memory_kafka import KilledError, MemoryKafka

BEFORE, AFTER = 2, 3
SETTINGS = Settings()
REGISTRY = FixedRegistry()
PAIR_COUNTS, STATE, LETTERS = "pair-counts", "sample-state", "pair-counts.dlq"
Found = dict[tuple[int, Table], pl.DataFrame]


def sold(tag: str) -> list[Tables]:
    """A shop's facts, by partition."""
    both = [
        orders([("tent-1", "peg-1"), ("tent-1", "lamp-1"), ("mug-1", "tea-1")], tag=tag),
        searches([row for query in ("tent", "mug", "lamp", "gift") for row in bought(query, "tent-1", 2, tag=tag)]),
    ]
    return [made.tables(number, BEFORE) for number in range(BEFORE) for made in both]


async def shop() -> MemoryKafka:
    """Two partitions with segments of two flushes each, with what was asked, and with two blocks and one record that is
    no block which no sampler has read."""
    kafka = MemoryKafka()
    for topic in (PAIR_COUNTS, STATE, LETTERS):
        kafka.create(topic, BEFORE)
    read, unread = (sold(tag) for tag in ("read", "unread"))
    for number in range(BEFORE):
        producer: Any = kafka
        log, state = segment_log(SETTINGS, producer, REGISTRY, number), PartitionState()
        for tables in read[2 * number : 2 * number + 2]:
            state.add(tables)
            facts = tables.facts.filter(pl.col("head") != TOTALS_HEAD)
            pairs = facts.select("head", "other").unique(maintain_order=True)
            state.ask(pairs.select("head", "other", asked_ms=1, level=1, reason=0).cast(ASKED))
            await log.flush(state)
            kafka.append(PAIR_COUNTS, number, None, block(tables))
        kafka.commits[PAIR_COUNTS, number] = len(kafka.logs[PAIR_COUNTS][number])
        for value in (*map(block, unread[2 * number : 2 * number + 2]), b"junk"):
            kafka.append(PAIR_COUNTS, number, None, value)
    return kafka


def block(tables: Tables) -> bytes:
    record = PairCounts(
        source_topic="query-purchase",
        source_partition=0,
        first_offset=0,
        last_offset=0,
        layout=LAYOUT,
        facts=to_ipc(tables.facts),
        heads=to_ipc(tables.heads),
        products=to_ipc(tables.products),
    )
    return Codec("pair-counts", PairCounts, REGISTRY).encode(record)


def made(kafka: MemoryKafka) -> Repartition:
    producer: Any = kafka
    return Repartition(SETTINGS, REGISTRY, producer, NOW)


def run(kafka: MemoryKafka, wanted: int = AFTER) -> Moved:
    with pytest.MonkeyPatch.context() as patch:
        kafka.installed(patch)
        return asyncio.run(made(kafka).run(wanted))


def state_of(kafka: MemoryKafka) -> Found:
    """All that the next samplers would know, by partition and table, in normal form."""
    with pytest.MonkeyPatch.context() as patch:
        kafka.installed(patch)
        states = [made(kafka)._found(number).state for number in range(kafka.partitions(STATE))]
    return {
        (number, table): state.snapshot(table).sort(pl.all())
        for number, state in enumerate(states)
        for table in SCHEMAS
    }


def letters_of(kafka: MemoryKafka) -> list[bytes | None]:
    return [message.of_value for log in kafka.logs[LETTERS] for message in log]


@pytest.fixture(scope="module")
def before() -> MemoryKafka:
    return asyncio.run(shop())


@pytest.fixture(scope="module")
def undisturbed(before: MemoryKafka) -> tuple[MemoryKafka, int]:
    """How an undisturbed run ends, and how many effects it has."""
    kafka = copy.deepcopy(before)
    kafka.effects_left = 10**9
    run(kafka)
    return kafka, 10**9 - kafka.effects_left


def test_every_head_is_moved_to_its_place_with_all_that_is_known(
    before: MemoryKafka, undisturbed: tuple[MemoryKafka, int]
) -> None:
    found, known = state_of(undisturbed[0]), state_of(before)
    for table in ("facts", "asked"):
        assert found[0, table].height
        moved = pl.concat([found[number, table] for number in range(AFTER)])
        there = pl.concat([known[number, table] for number in range(BEFORE)])
        assert_frame_equal(moved.unique().sort(pl.all()), there.unique().sort(pl.all()))
    for number in range(AFTER):
        heads = found[number, "facts"]["head"]
        assert set(heads.filter(heads != TOTALS_HEAD) % AFTER) == {number}
        assert found[number, "products"].height
    assert letters_of(undisturbed[0]) == [b"junk"] * BEFORE
    assert not run(undisturbed[0], 0).heads


def test_killed_after_any_step_and_run_again_it_ends_as_if_undisturbed(
    before: MemoryKafka, undisturbed: tuple[MemoryKafka, int]
) -> None:
    expected, effects = undisturbed
    assert effects > 30
    wanted = state_of(expected)
    for done in range(effects):
        kafka = copy.deepcopy(before)
        kafka.effects_left = done
        with pytest.raises(KilledError):
            run(kafka)
        kafka.effects_left = 10**9
        run(kafka)
        assert_same(kafka, expected, state_of(kafka), wanted, f"killed after {done} effects")


def test_killed_again_and_again_it_ends_as_if_undisturbed(
    before: MemoryKafka, undisturbed: tuple[MemoryKafka, int]
) -> None:
    """Each run gets one effect further than the one before it, over what that one left."""
    kafka, (expected, effects) = copy.deepcopy(before), undisturbed
    for done in range(effects):
        kafka.effects_left = done
        try:
            run(kafka)
        except KilledError:
            continue
        break
    kafka.effects_left = 10**9
    run(kafka)
    assert_same(kafka, expected, state_of(kafka), state_of(expected), "killed again and again")


def assert_same(kafka: MemoryKafka, expected: MemoryKafka, found: Found, wanted: Found, when: str) -> None:
    for place, rows in wanted.items():
        assert found[place].equals(rows), f"{place} differs, {when}"
    assert kafka.commits == expected.commits, when
    assert set(letters_of(kafka)) == set(letters_of(expected)), when


def test_a_state_that_is_gone_is_not_moved_as_if_it_had_been_empty(
    before: MemoryKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = copy.deepcopy(before)
    kafka.logs[STATE][0].clear()
    monkeypatch.setattr("streams.sampling.repartition.lost", lambda _, number: StopWorker(f"{number} is gone."))
    with pytest.raises(StopWorker, match="0 is gone"):
        run(kafka)
