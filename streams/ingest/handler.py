"""The ingest process: raw events in, blocks of facts and dead letters out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl

from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.metrics import counter
from cosmo.runtime.settings import Settings
from schemas.codec import Codec
from schemas.fixed_registry import FixedRegistry
from schemas.records import Action, CoPurchase, PairCounts, Product, QueryPurchase
from schemas.registry import SchemaLookup
from streams import topics
from streams.fetch.handler import Bad, Fetch, RawRecord
from streams.ingest.decode import Decoder
from streams.ingest.facts import Combined, from_orders, from_searches
from streams.ingest.shapes import ORDERS, SEARCHES
from streams.ingest.shuffle import blocks
from streams.kafka import growth
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer

log = logs.get(__name__)

MAX_IN_FLIGHT = 8
"""Fetches whose blocks are not confirmed yet. Waiting for each before the next would cost a quarter of the speed;
more than this only fills memory when the brokers are slow."""


MAX_COMPUTING = 1
"""Fetches computed at the same time, beside the thread that fetches and unpacks. A second is no faster: the two wait
for Python's lock and for each other's cache (`python -m bench.ingest`); a second process is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What one fetch comes to: dead letters, and encoded blocks with the partitions they go to."""

    bad: list[Bad]
    blocks: list[tuple[int, bytes]] = field(default_factory=list)
    facts: int = 0


_LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
_PRODUCTS = tuple(Product(product_id=f"example-{number}", title="Example") for number in range(2))
EXAMPLE_SEARCH = QueryPurchase(
    event_id="e", event_time=_LONG_AGO, session_id="s", query="example", action=Action.CLICK, product=_PRODUCTS[0]
)
EXAMPLE_ORDER = CoPurchase(event_id="e", event_time=_LONG_AGO, session_id="s", order_id="o", items=_PRODUCTS)


@dataclass(frozen=True, slots=True)
class Route:
    """What is done with the fetches of one input topic."""

    decoder: Decoder[Any]
    facts: Callable[[pl.DataFrame], Combined]
    example: QueryPurchase | CoPurchase

    def warm_up(self) -> None:
        """Take an example all the way. It is framed by a registry of its own, as nobody has to have registered the
        newest schema of a topic that others write."""
        codec = self.decoder.codec
        codec = Codec(codec.topic_name, type(self.example), FixedRegistry())
        decoder = replace(self.decoder, codec=codec, readers={})
        fetch = Fetch(codec.topic_name, 0, [RawRecord(0, 0, None, codec.encode(self.example))])
        rows = decoder.decode(fetch, self.example.event_time).rows
        list(blocks(fetch, self.facts(rows), 1))


@dataclass(slots=True)
class IngestHandler:
    """Decodes, checks, masks, normalizes and combines each fetch, and shuffles it to the sampler's partitions.

    At least once: a fetch redelivered makes the same facts again, which change nothing in the sampler's state.
    """

    producer: ConfirmingProducer
    dead_letters: DeadLetters
    routes: dict[str, Route]
    blocks_codec: Codec[PairCounts]
    blocks_topic: str
    partitions: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_IN_FLIGHT))
    _threads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_COMPUTING))

    async def start(self) -> None:
        """Look up and import what the first fetch would otherwise wait for (a second, most of it pyarrow)."""
        for route in self.routes.values():
            await asyncio.to_thread(route.warm_up)
        await asyncio.to_thread(lambda: self.blocks_codec.schema_id)
        self.partitions = await asyncio.to_thread(self.producer.partitions, self.blocks_topic)

    async def background(self) -> None:
        """Go by the number of partitions that there is. What was placed by another stops the sampler, and is moved."""

        def grown(found: int) -> None:
            log.info("partitions added", topic=self.blocks_topic, partitions=found, before=self.partitions)
            self.partitions = found

        await growth.watch(self.producer, self.blocks_topic, lambda: self.partitions, grown)

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        """Nothing: ingest keeps no state."""

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        """Nothing: ingest keeps no state."""

    async def stop(self, deadline: Deadline) -> None:
        """Nothing: the worker waits for what is in flight."""

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        """Take a fetch on when there is room for it; its promise is kept when all that it makes is confirmed."""
        await self._room.acquire()
        return asyncio.create_task(self._process(fetch))

    async def _process(self, fetch: Fetch) -> None:
        """1. compute in a thread, 2. queue dead letters and blocks, 3. wait until the brokers have them."""
        try:
            async with self._threads:
                made = await asyncio.to_thread(self._compute, fetch)
            self.dead_letters.account(fetch, made.bad)
            counter("cosmo_facts_total").labels(fetch.topic).inc(made.facts)
            sent = [await self.dead_letters.enqueue(fetch.topic, fetch.partition, bad) for bad in _let_go(made.bad)]
            sent += [
                await self.producer.enqueue(self.blocks_topic, block, partition=partition)
                for partition, block in made.blocks
            ]
            await asyncio.gather(*sent)
        finally:
            self._room.release()

    def _compute(self, fetch: Fetch) -> _Made:
        route = self.routes[fetch.topic]
        decoded = route.decoder.decode(fetch, self.now())
        if not decoded.rows.height:
            return _Made(bad=decoded.bad)
        combined = route.facts(decoded.rows)
        made = [
            (partition, self.blocks_codec.encode(block))
            for partition, block in blocks(fetch, combined, self.partitions)
        ]
        return _Made(bad=decoded.bad, blocks=made, facts=combined.facts.height)


def _let_go(bad: list[Bad]) -> Iterator[Bad]:
    """One after another, in order, and no longer in the list: they may have 256 MiB together, of which the send queue
    takes a copy."""
    bad.reverse()
    while bad:
        yield bad.pop()


def build(
    settings: Settings, producer: ConfirmingProducer, dead_letters: DeadLetters, registry: SchemaLookup
) -> IngestHandler:
    """The handler as the worker runs it."""
    return IngestHandler(
        producer=producer,
        dead_letters=dead_letters,
        routes=routes(settings, registry),
        blocks_codec=Codec(topics.PAIR_COUNTS.name, PairCounts, registry),
        blocks_topic=settings.topic_prefix + topics.PAIR_COUNTS.name,
    )


def routes(settings: Settings, registry: SchemaLookup) -> dict[str, Route]:
    """By input topic."""
    prefix, key = settings.topic_prefix, settings.session_key.get_secret_value()
    searches = Decoder(Codec(topics.QUERY_PURCHASE.name, QueryPurchase, registry), SEARCHES)
    orders = Decoder(Codec(topics.CO_PURCHASE.name, CoPurchase, registry), ORDERS)
    return {
        prefix + topics.QUERY_PURCHASE.name: Route(searches, partial(from_searches, session_key=key), EXAMPLE_SEARCH),
        prefix + topics.CO_PURCHASE.name: Route(orders, partial(from_orders, session_key=key), EXAMPLE_ORDER),
    }
