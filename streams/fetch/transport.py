"""A Faust transport that delivers each fetch of a partition as one event, and commits by the ledger.

Everything else is Faust's: assignment, rebalances, the fetch thread, seeks. What is replaced, and why, is in
docs/adr/0007-whole-fetch-transport.md. `register` makes it known to Faust under the scheme ``fetch://``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message

from cosmo.runtime.errors import StopWorker
from streams.fetch.fence import Fence
from streams.fetch.handler import Fetch
from streams.fetch.ledger import Entry, Ledger
from streams.fetch.prefetch import Fetched, Prefetch

SCHEME = "fetch"

REVOKE_COMMIT_S = 5.0
"""A rebalance waits for this commit; longer and the group would wait for one slow coordinator."""


@dataclass(slots=True)
class Seek:
    """One call of `FetchThread.seek_to_committed`."""

    number: int
    given_up: bool = False
    """Nobody waits for it. Faust gives one up when a rebalance comes; it would go on in the thread, and take partitions
    back behind what has been delivered since."""


class FetchThread(driver.AIOKafkaConsumerThread):
    """Faust's thread for aiokafka, which reads fetches ahead. Everything here runs in that thread's event loop."""

    _prefetch: Prefetch | None = None
    """None until it has started."""
    _starting: asyncio.Task[Any] | None = None
    _last_seek = 0
    _sought = 0
    """The newest seek that has moved partitions; none that is older may."""

    def give_up(self) -> None:
        """End a start that waits for brokers. The thread would otherwise wait on, and a stop wait for the thread."""
        starting = self._starting
        if starting is not None:
            self.thread_loop.call_soon_threadsafe(starting.cancel)

    def _start_thread(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # given up
            super()._start_thread()

    async def on_start(self) -> None:
        self._starting = asyncio.current_task()
        await super().on_start()
        self._starting = None
        conf = self.app.conf
        consumer = self._ensure_consumer()
        if conf.consumer_group_instance_id:
            Fence(consumer._coordinator, self._fenced)
        self._prefetch = Prefetch(
            consumer._fetcher, most=conf.broker_max_poll_records, check_crcs=conf.broker_check_crcs
        )

    def _fenced(self) -> None:
        name, group = self.app.conf.consumer_group_instance_id, self.app.conf.id
        error = StopWorker(
            f"Another process is {name!r} in group {group} now.",
            advice="Give each worker a COSMO_GROUP_INSTANCE_ID of its own, or none, and start this one again.",
        )
        self.parent_loop.call_soon_threadsafe(self.consumer.end_reading, error)  # type: ignore[attr-defined]  # ours

    def forget(self, tp: TP) -> None:
        """The partition is another's now. May be called from any thread."""
        if self._prefetch is not None:
            self._prefetch.overtaken.forget(tp)
            self._prefetch.ends.pop(tp, None)

    @property
    def ends(self) -> Mapping[tuple[str, int], tuple[int, int]]:
        """How far each partition may be read and where it ends, as the brokers told last. From any thread."""
        return self._prefetch.ends.copy() if self._prefetch is not None else {}

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, Any]:
        """A `Fetched` by partition, where Faust's own gives lists of records."""
        if not self.consumer.flow_active:
            return {}
        if consumer._closed or consumer._fetcher._closed:
            raise ConsumerStoppedError
        assert self._prefetch is not None  # by on_start
        with consumer._fetcher._subscriptions.fetch_context():
            return await self._prefetch.next(active_partitions, timeout or 0.0)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Back to the committed offsets; where there is none, back to the beginning, which is where our groups begin.
        aiokafka stays where it is then, and what it had fetched and nobody took would be passed over."""
        self._last_seek += 1
        seek = Seek(self._last_seek)
        try:
            committed: Mapping[TP, int] = await self.call_thread(self._seek_to_committed, seek)
        except asyncio.CancelledError:
            seek.given_up = True
            raise
        return committed

    async def _seek_to_committed(self, seek: Seek) -> Mapping[TP, int]:
        """Void when it comes too late: while the offsets are looked up, the next rebalance may be over."""
        consumer = self._ensure_consumer()
        partitions = tuple(consumer.assignment())
        offsets = await asyncio.gather(*map(consumer.committed, partitions))
        if seek.given_up or seek.number < self._sought:
            return {}
        self._sought = seek.number
        mine = consumer.assignment()
        committed = {tp: offset for tp, offset in zip(partitions, offsets, strict=True) if tp in mine}
        for tp, offset in committed.items():
            if offset is None:
                _to_beginning(consumer, tp)
            else:
                consumer.seek(tp, offset)
        return committed


def _to_beginning(consumer: Any, tp: TP) -> None:
    """Has the fetcher ask where that is as soon as there is a leader to ask. To wait for one here would hold up the
    other partitions."""
    fetcher = consumer._fetcher
    fetcher._subscriptions._assigned_state(tp).await_reset(OffsetResetStrategy.EARLIEST)
    fetcher._records.pop(tp, None)
    fetcher._notify(fetcher._wait_consume_future)


class FetchConsumer(driver.Consumer):
    """Faust's aiokafka consumer with the ledger in place of its gap tracking."""

    ledgers: defaultdict[TP, Ledger]
    unreadable: asyncio.Future[StopWorker]
    """Set when nothing more can be read: a batch is damaged, or another process has our place in the group. Nothing is
    delivered after that; what was can still be acked and committed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.ledgers = defaultdict(Ledger)
        super().__init__(*args, **kwargs)
        self.unreadable = self.loop.create_future()
        self._flow_ended = False

    def _new_consumer_thread(self) -> FetchThread:
        return FetchThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def ends(self) -> Mapping[tuple[str, int], tuple[int, int]]:
        """As the thread's."""
        return self._thread.ends  # type: ignore[attr-defined,no-any-return]  # it is ours

    def give_up_start(self) -> None:
        """The process is to stop, and does not wait for brokers that may never answer."""
        self._thread.give_up()  # type: ignore[attr-defined]  # it is ours

    def end_reading(self, error: StopWorker) -> None:
        """Nothing more can be read, for this reason or the one that was told before."""
        if not self.unreadable.done():
            self.unreadable.set_result(error)

    def end_flow(self) -> None:
        """Stop it for good. What is in flight is not sought back to, as in a rebalance: it may still be acked, and
        committed."""
        self._flow_ended = True
        self.stop_flow()

    def resume_flow(self) -> None:
        """Unless it has ended."""
        if not self._flow_ended:
            super().resume_flow()

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 - Faust's signature
        """Yield one message per partition of what was fetched. Stops when the flow does: what is dropped here was
        not entered in a ledger, and Faust seeks back to the committed offsets before the flow resumes."""
        if self.unreadable.done():
            await self.sleep(timeout)
            return
        try:
            found, active = await self._wait_next_records(timeout)
        except StopWorker as error:
            self.end_reading(error)
            return
        generation = self.app.consumer_generation_id
        if found is None or self.should_stop:
            return
        if self._flow_ended:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        fetches: dict[TP, Any] = dict(found)
        for tp, fetched in fetches.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if active is None or tp in active or tp in self._buffered_partitions:
                entry = self.ledgers[tp].deliver(fetched.next_offset - 1, time.monotonic(), fetched.lease)
                if len(fetched.records):
                    self._read_offset[tp] = None  # or Faust drops what comes a second time, and nobody acks it
                    yield tp, self._fetch_message(tp, fetched, entry)
                else:
                    self.ledgers[tp].ack(entry)

    def _fetch_message(self, tp: TP, fetched: Fetched, entry: Entry) -> Any:
        last = fetched.records[-1]
        record = ConsumerRecord(tp.topic, tp.partition, last.offset, last.timestamp_ms, 0, None, None, None, -1, -1, ())
        message: Any = self._to_message(tp, record)
        message.value = Fetch(tp.topic, tp.partition, fetched.records)
        message.entry = entry
        return message

    def ack(self, message: Any) -> bool:
        """Mark the fetch as ended. Called by Faust when the event's last reference is acked."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self.ledgers[message.tp].ack(message.entry)
        return True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what the ledgers allow. What the broker refuses stays committable and is tried again."""
        offsets = {tp: offset for tp, ledger in self.ledgers.items() if (offset := ledger.committable()) is not None}
        if not offsets:
            return False  # also while there is no consumer yet to ask for its assignment
        assigned = self.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in assigned}
        if not mine or not await self._commit(mine):
            return False
        for tp, offset in mine.items():
            self.ledgers[tp].committed(offset)
            self._committed_offset[tp] = offset
        return True

    async def perform_seek(self) -> None:
        """Back to the committed offsets: what is in flight will be delivered again, so its acks no longer count."""
        for ledger in self.ledgers.values():
            ledger.clear()
        await super().perform_seek()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what has been acked while the generation still lets us, then forget the partitions."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.commit(), REVOKE_COMMIT_S)
        for tp in revoked:
            self.ledgers.pop(tp, Ledger()).clear()
            self._thread.forget(tp)  # type: ignore[attr-defined]  # it is ours
        await super().on_partitions_revoked(revoked)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: /healthz judges by what the brokers hold, and Faust's detector fails where there is no position."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: the ledger does not care which offsets lie between two fetches."""


class FetchTransport(driver.Transport):
    """The aiokafka transport with `FetchConsumer`."""

    Consumer: ClassVar[type[FetchConsumer]] = FetchConsumer


def register() -> None:
    """Make ``fetch://host:port`` known to Faust. Idempotent."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:FetchTransport"
