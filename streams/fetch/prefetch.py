"""Takes the broker's fetch responses as bytes, so that the next is under way while this one is worked on.

aiokafka's fetcher still decides what to ask of whom, and follows leaders, seeks and assignments. It asks for a
partition again only when its last response has been used up; here that is at once, because the response is taken whole,
as bytes, and cut into fetches later. Nothing here is used from more than one thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from cosmo.runtime.errors import StopWorker
from cosmo.runtime.logs import at
from streams.fetch.batches import Batch, UnreadableError, parse, split
from streams.fetch.budget import Lease, MemoryBudget
from streams.fetch.overtaken import Overtaken
from streams.fetch.records import Records
from streams.fetch.transactions import Aborted, committed

HELD_BATCHES = 2
"""A partition's next response is taken when fewer batches than this are left of the last: there is always one to go on
with, and a partition holds about two responses at most (of `Settings.fetch_bytes` each, compressed as they came)."""

LOOK_S = 0.02
"""Between two looks whether there is room again to unpack; nobody tells of it."""

MAX_WAIT_MS = 250
"""How long a broker may hold a request for data that is not there yet. A partition whose last fetch was just used up
waits for that request to come back before it is asked for, so this bounds what a quiet neighbour can cost it."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a broker sent of one partition, from the offset that it was asked for."""

    offset: int
    aborted: Aborted
    data: bytes


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records of one partition, perhaps none (all compacted away or aborted), and the offset behind them."""

    records: Records
    next_offset: int
    lease: Lease | None = None
    """To be held as long as the records are."""


@dataclass(slots=True)
class Held:
    """What has been taken of a partition and not been handed over, in order and without a gap."""

    position: int
    """Where the next hand-over begins."""
    end: int
    """Behind all of it; aiokafka's own position, unless somebody has moved that."""
    assignment: Any = None
    batches: deque[Batch] = field(default_factory=deque)
    cut: deque[Fetched] = field(default_factory=deque)

    def add(self, batches: Collection[Batch]) -> None:
        self.batches.extend(batches)
        self.end = self.batches[-1].next_offset

    def pop(self, most: int, budget: MemoryBudget) -> Fetched | None:
        """The next fetch: ``most`` records or fewer; None while there is no room to unpack it. Raises UnreadableError
        when the next batch is so; what lies before it has been handed over then."""
        if not self.cut:
            if not budget.has_room:
                return None
            self._cut(most, budget)
        fetched = self.cut.popleft()
        self.position = fetched.next_offset
        return fetched

    def _cut(self, most: int, budget: MemoryBudget) -> None:
        batches = [self.batches.popleft()]
        count = batches[0].count
        while self.batches and (count := count + self.batches[0].count) <= most:
            batches.append(self.batches.popleft())
        try:
            records = parse(batches, self.position)
        except UnreadableError:
            if len(batches) == 1:
                raise
            records = None
        if records is None:  # not above, where the error still holds what was unpacked
            self.batches.extendleft(batches[:0:-1])
            del batches[1:]
            records = parse(batches, self.position)
        lease = budget.lease(len(records.data))
        parts = [records[at : at + most] for at in range(0, len(records), most)] or [records]
        self.cut.extend(Fetched(part, int(part.offsets[-1]) + 1, lease) for part in parts[:-1])
        self.cut.append(Fetched(parts[-1], batches[-1].next_offset, lease))


class Refused:
    """Stands where a response would, of a partition whose next offset was deleted, so that aiokafka asks for none."""

    def calculate_backoff(self) -> float:
        """As aiokafka asks of each response that waits: nobody else need wait for this one."""
        return 0.0


class Tap:
    """aiokafka's client, with each fetch response kept aside as it came, by partition."""

    def __init__(self, client: Any, defers: Callable[[tuple[str, int], int], bool]) -> None:
        """``defers`` is told of each offset refused, and whether aiokafka must not hear of it yet."""
        self._client = client
        self._defers = defers
        self.responses: dict[Any, Response] = {}
        self.overtaken = Overtaken()
        self.ends: dict[tuple[str, int], tuple[int, int]] = {}
        """How far each partition could be read at its last response, which is to the first open transaction, and where
        it ended."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send as the client does."""
        response = await self._client.send(node_id, request, **options)
        if isinstance(request, FetchRequest):
            asked = {(topic, number): offset for topic, parts in request.topics for number, offset, _ in parts}
            for topic, partitions in response.topics or ():
                partitions[:] = [one for one in partitions if self._note((topic, one[0]), asked[topic, one[0]], one)]
        return response

    def _note(self, key: tuple[str, int], offset: int, answer: Any) -> bool:
        """Whether aiokafka is to hear of the answer."""
        _, error_code, end, *told, data = answer
        if error_code == OffsetOutOfRangeError.errno:
            self.overtaken.refused(key, offset)
            return not self._defers(key, offset)
        if error_code == 0:
            self.overtaken.answered(key, offset)
            self.ends[key] = told[0], end
            if data:
                self.responses[key] = Response(offset, _aborted(told), data)
        return True


def _aborted(told: Collection[Any]) -> Aborted:
    """Of what stands between the log's end and the records, which depends on the version: the one list, or null."""
    return next((part for part in told if isinstance(part, list)), ())


class Prefetch:
    """Hands over one fetch after another from responses that are taken as soon as they have come."""

    def __init__(self, fetcher: Any, *, most: int, check_crcs: bool) -> None:
        fetcher._client = self._tap = Tap(fetcher._client, self._defer)
        self.overtaken, self.ends = self._tap.overtaken, self._tap.ends
        fetcher._fetch_max_wait_ms = MAX_WAIT_MS
        fetcher._isolation_level = READ_COMMITTED
        self._fetcher = fetcher
        self._most = most
        self._check_crcs = check_crcs
        self._held: dict[Any, Held] = {}
        self.budget = MemoryBudget()

    async def next(self, active: Collection[Any] | None, timeout_s: float) -> dict[Any, Fetched]:
        """The next fetch of one of the active partitions (None: of any), each in its turn; empty after the timeout.

        Raises StopWorker at a batch that cannot be read, and again at each call until somebody moves the position past
        it; what aiokafka raises: TopicAuthorizationFailedError…
        """
        fetcher = self._fetcher
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            if fetcher._subscriptions.reassignment_in_progress:
                await fetcher._subscriptions.wait_for_assignment()
            self._take()
            found = self._hand_over(active)
            left_s = deadline - asyncio.get_running_loop().time()
            if found or left_s <= 0 or fetcher._closed:
                return found
            waiter = fetcher._create_fetch_waiter()
            done, _ = await asyncio.wait([waiter], timeout=left_s if self.budget.has_room else min(left_s, LOOK_S))
            if done:
                waiter.result()  # a group that may not be read from
            else:
                waiter.cancel()

    def _defer(self, key: tuple[str, int], offset: int) -> bool:
        """Whether something is held that ends at the refused offset. aiokafka would go to where the log begins now,
        which voids what is held; it asks again, and hears of it, when all of that has been handed over."""
        tp = TopicPartition(*key)
        held = self._held.get(tp)
        if held is None or held.end != offset or not self._valid(tp, held):
            return False
        self._fetcher._records.setdefault(tp, Refused())
        return True

    def _take(self) -> None:
        """Take the responses of partitions that run out, upon which the fetcher asks for their next."""
        self._held = {tp: held for tp, held in self._held.items() if self._valid(tp, held)}
        for tp, result in list(self._fetcher._records.items()):
            if self._waits(tp, result):
                continue
            del self._fetcher._records[tp]
            self._fetcher._notify(self._fetcher._wait_consume_future)
            if isinstance(result, FetchError):
                result.check_raise()
            if not isinstance(result, Refused):
                self._take_one(tp, result)

    def _waits(self, tp: Any, result: Any) -> bool:
        """Whether it is too early for the result: an error is raised when there is nothing else to hand over."""
        if isinstance(result, FetchError):
            return bool(self._held)
        held = self._held.get(tp)
        if held is None:
            return False
        return isinstance(result, Refused) or len(held.batches) + len(held.cut) >= HELD_BATCHES

    def _take_one(self, tp: Any, result: Any) -> None:
        """Void when the position was moved meanwhile; then the fetcher asks again."""
        if not result.check_assignment(tp):
            return
        response = self._tap.responses.pop((tp.topic, tp.partition), None)
        if response is None or response.offset != result._partition_records.next_fetch_offset:
            return
        batches: list[Batch] = []
        try:
            for batch in committed(split(response.data, check_crcs=self._check_crcs), response.aborted):
                batches.append(batch)  # not all at once: what comes before an error is kept
        except UnreadableError as error:
            if not batches:
                raise _stop(tp, error) from error
        held = self._held.setdefault(tp, Held(response.offset, response.offset, result._assignment))
        held.add(batches)
        result._assignment.state_value(tp).consumed_to(held.end)  # asked for from here: also the one that is unreadable

    def _hand_over(self, active: Collection[Any] | None) -> dict[Any, Fetched]:
        for tp in list(self._held):
            held = self._held[tp]
            if (active is not None and tp not in active) or held.assignment.state_value(tp).paused:
                continue
            try:
                fetched = held.pop(self._most, self.budget)
            except UnreadableError as error:
                del self._held[tp]
                held.assignment.state_value(tp).seek(held.position)  # nothing of it was handed over
                raise _stop(tp, error) from error
            if fetched is None:
                continue
            del self._held[tp]
            if held.batches or held.cut:
                self._held[tp] = held  # behind the others
            return {tp: fetched}
        return {}

    @staticmethod
    def _valid(tp: Any, held: Held) -> bool:
        """Whether aiokafka's position is still where taking this left it: a seek or a reset moves it elsewhere, and
        then what is held must not be handed over, as it would pass over what lies between."""
        if not held.assignment.active:
            return False
        state = held.assignment.state_value(tp)
        return bool(state is not None and state.has_valid_position and state.position == held.end)


def _stop(tp: Any, error: UnreadableError) -> StopWorker:
    return StopWorker(
        f"The batch at {at(tp.topic, tp.partition, error.offset)} {error.why}.",
        advice=f'The next begins at {error.next_offset}. See "A batch that cannot be read" in docs/operations.md.',
    )
