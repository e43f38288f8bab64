"""Runs one process of the stream: a Faust app over whole fetches, a handler, and a stop that is bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import faust
from aiokafka.errors import KafkaConnectionError

from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.errors import CosmoError, StopWorker
from cosmo.runtime.settings import Settings
from cosmo.runtime.waiting import WAITING, GivenUp
from streams import topics
from streams.app import build_app, fetch_topic
from streams.fetch.handler import Background, Fetch, Handler
from streams.fetch.watch import EVERY_S, Watch

log = logs.get(__name__)

DRAIN_LOOK_S = 0.05
"""Between two looks at what is still under way. Nobody else waits for that, so nothing tells of it."""


@dataclass(slots=True)
class Worker:
    """One worker process. `run` returns when a signal or `request_stop` ends it, and raises what broke it otherwise.

    After an error nothing more is acked: what was not committed is redelivered at the next start.
    """

    process: str
    settings: Settings
    handler: Handler
    watch: Watch
    on_stop: Callable[[], None] = lambda: None
    """Told, perhaps more than once, that the stop has begun."""
    app: Any = None
    """The Faust app while it runs."""
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: BaseException | None = None
    _unreadable: StopWorker | None = None
    """What comes next. Unlike a failure it casts no doubt on what came before, which is finished and committed."""
    _ready: dict[tuple[str, int], asyncio.Task[None]] = field(default_factory=dict)
    _promises: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Start, work until stopped, stop."""
        app = self.app = self._app()
        _on_signals(self.request_stop)
        if not await self._started(self.handler.start()):
            return
        beside: list[asyncio.Task[None]] = []
        started = await self._app_started(app)
        try:
            if started:
                beside += [asyncio.create_task(self._watch(app)), asyncio.create_task(self._background())]
                await self._until_stopped(app)
        finally:
            for task in beside:
                task.cancel()
            await self._stop(app)
            self.watch.close()
        failure = self._failure or self._unreadable
        if failure is not None:
            raise failure

    def request_stop(self) -> None:
        """Stop gracefully: what is in flight is finished and committed, within the settings' ``shutdown_s``."""
        self._stopping.set()
        self.on_stop()

    async def _started(self, start: Coroutine[Any, Any, Any]) -> bool:
        """Whether this step of the start came to its end before the process was asked to stop. It is not waited for
        after that: brokers that do not answer would hold it up for minutes."""
        starting, stopping = asyncio.create_task(start), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            return False
        starting.result()
        return True

    async def _app_started(self, app: Any) -> bool:
        """As `_started`, for the app; in this task and in no other, or the app does not stop in time."""
        try:
            async with asyncio.timeout(None) as limit:
                ending = asyncio.create_task(self._end_at_stop(limit))
                try:
                    await app.start()
                finally:
                    ending.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
            app.consumer.give_up_start()
            return False
        except KafkaConnectionError as error:
            raise CosmoError(
                f"Kafka at {self.settings.kafka_bootstrap_servers} does not answer.",
                advice="Start it with `cosmo stack up`, or set KAFKA_BOOTSTRAP_SERVERS.",
            ) from error
        return True

    async def _end_at_stop(self, limit: asyncio.Timeout) -> None:
        await self._stopping.wait()
        limit.reschedule(asyncio.get_running_loop().time())

    def _app(self) -> faust.App:
        app = build_app(self.settings, self.process)
        for topic in topics.CONSUMED[self.process]:
            app.agent(fetch_topic(app, self.settings.topic_prefix + topic.name), name=topic.name)(self._agent)
        signals: Any = app  # mode's signals are typed for senders that take no arguments
        signals.on_partitions_assigned.connect(self._assigned, weak=False)
        signals.on_partitions_revoked.connect(self._revoked, weak=False)
        app.finalize()
        return app

    async def _agent(self, stream: Any) -> None:
        async for event in stream.noack().events():
            fetch: Fetch = event.value
            partition = (fetch.topic, fetch.partition)
            ready = self._ready.get(partition)
            if ready is None or self._failure is not None:
                continue  # revoked while it lay in the buffer, or failing: it comes again
            with self._fails_worker():
                if not ready.done():
                    await asyncio.wait({ready})
                if self._ready.get(partition) is not ready or self._failure is not None:
                    continue
                self._keep(await self.handler.handle(fetch), event, time.monotonic())

    def _keep(self, promise: Awaitable[None], event: Any, began_s: float) -> None:
        """Ack the fetch when its promise is kept: 1. sink confirmed, 2. ack, 3. commit (by Faust, at intervals)."""

        async def keep() -> None:
            with self._fails_worker():
                await promise
                event.ack()
                if (event.value.topic, event.value.partition) in self._ready:  # else revoked: not ours to watch
                    self.watch.done(event.value, time.monotonic() - began_s)

        task = asyncio.create_task(keep())
        self._promises.add(task)
        task.add_done_callback(self._promises.discard)

    @contextlib.contextmanager
    def _fails_worker(self) -> Iterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            raise
        except GivenUp:  # because we stop; what waited is not acked
            log.info("stopped while waiting", waits=[str(wait) for wait in WAITING.now()])
        except BaseException as error:  # noqa: BLE001 - raised again by `run`; polars' panics are such
            self._failure = self._failure or error
            self._stopping.set()

    async def _assigned(self, _app: Any, *args: Any, **_: Any) -> None:
        (assigned,) = args
        if not assigned:
            self.watch.spare()
        for topic, partitions in _by_topic(assigned).items():
            new = sorted(number for number in partitions if (topic, number) not in self._ready)
            for number in new:
                self._ready[topic, number] = asyncio.create_task(self._open(topic, number))
            if new:
                log.info("assigned", topic=topic, partitions=new)

    async def _open(self, topic: str, partition: int) -> None:
        """A partition that cannot be opened stops the worker now, not at its first fetch, which may never come."""
        with self._fails_worker():
            await self.handler.assigned(topic, frozenset({partition}))

    async def _revoked(self, _app: Any, *args: Any, **_: Any) -> None:
        (revoked,) = args
        for topic, partitions in _by_topic(revoked).items():
            opening = [self._ready.pop((topic, number)) for number in partitions if (topic, number) in self._ready]
            for number in partitions:
                self.watch.forget(topic, number)
            await _cancelled(opening)  # else a partition still being loaded would be opened when it is not ours
            await self.handler.revoked(topic, frozenset(partitions))
            log.info("revoked", topic=topic, partitions=sorted(partitions))

    async def _watch(self, app: Any) -> None:
        while True:
            committed = {key: app.consumer._committed_offset[key] for key in tuple(self._ready)}
            await self.watch.look(app.consumer.ledgers, committed, app.consumer.ends)
            await asyncio.sleep(EVERY_S)

    async def _background(self) -> None:
        if isinstance(self.handler, Background):
            with self._fails_worker():
                await self.handler.background()

    async def _until_stopped(self, app: Any) -> None:
        unreadable: asyncio.Future[StopWorker] = app.consumer.unreadable
        stopped, stopping = asyncio.create_task(app.wait_until_stopped()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({stopped, stopping, unreadable}, return_when=asyncio.FIRST_COMPLETED)
        if unreadable.done():
            await self._drained(app)
            self._unreadable = unreadable.result()
        elif not self._stopping.is_set():
            self._failure = app.crash_reason or CosmoError("The Faust app stopped by itself.")
        for wait in (stopped, stopping):
            wait.cancel()

    async def _drained(self, app: Any) -> None:
        """Let all end that was delivered before the batch that cannot be read, so that a person who skips the batch
        skips nothing else. What is left after the bound comes again at the next start."""
        bound = Deadline.after(self.settings.shutdown_s)
        while any(ledger.in_flight for ledger in app.consumer.ledgers.values()):
            if bound.remaining_s <= 0 or self._stopping.is_set():
                return
            await asyncio.sleep(min(DRAIN_LOOK_S, bound.remaining_s))

    async def _stop(self, app: Any) -> None:
        """1. no more fetches, 2. finish what is in flight, 3. commit it, 4. leave the group; under one deadline."""
        self.on_stop()
        deadline = Deadline.after(self.settings.shutdown_s)
        app.consumer.end_flow()
        with contextlib.suppress(TimeoutError):
            if self._failure is None:
                await asyncio.wait_for(self.handler.stop(deadline), deadline.remaining_s / 2)
                await self._settle(app, deadline)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.stop(), max(1.0, deadline.remaining_s))

    async def _settle(self, app: Any, deadline: Deadline) -> None:
        if self._promises:
            await asyncio.wait(self._promises, timeout=deadline.remaining_s / 2)
        if not self._ready:
            return  # nothing is ours (any more, or yet): there is nothing to commit, nor perhaps a consumer that could
        for _ in range(2):  # the first may do no more than wait for one under way, which began before the last acks
            await asyncio.wait_for(app.consumer.commit(), max(1.0, deadline.remaining_s / 2))


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _by_topic(tps: set[Any]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for topic, partition in tps:
        found.setdefault(topic, set()).add(partition)
    return found


def _on_signals(stop: Any) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
