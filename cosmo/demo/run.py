"""The demonstration from start to end: the stack, the workers, the input, the figures, the look-ups, the stop.

1. Start the stack and furnish it. 2. Start the workers, tied to this process; and the look-up API, if it shall serve.
3. Send the input. 4. Wait until all of it is counted and enough entities have features, or a bounded time. 5. Look up
samples through the readers' own code. 6. Serve until interrupted, if asked. 7. Stop: input, API, workers; count what
these have done to the end; stop the stack. What dies in 3 to 6 is started again, or ends the run with a sentence.
Whatever happens, nothing that started is left.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from cosmo.demo import DEFAULT_BASKETS, DEFAULT_SEED, interrupts, remembered
from cosmo.demo.api import Api
from cosmo.demo.ending import Bounds, During, End, Ending
from cosmo.demo.feed import Feed
from cosmo.demo.reading import Reading, Sent
from cosmo.demo.record import Record
from cosmo.demo.show import Results, Show, queue
from cosmo.demo.simulation import ORDERS, SEARCHES, Simulation
from cosmo.demo.sources import after_workers
from cosmo.demo.watch import Watch
from cosmo.produce import Summary
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from cosmo.stack import session
from cosmo.stack.home import Home, disk_errors
from cosmo.stack.keeper import Keeper
from cosmo.stack.parts import Name
from cosmo.stack.ports import check_free
from cosmo.stack.stack import Phase, Stack
from cosmo.workers.all import Children, port_of
from cosmo.workers.one import PORTS
from features.errors import StoreUnreachable
from features.lookup.answers import Answer, Status
from features.lookup.reader import build
from schemas.records import EntityKind

LOOK_S = 0.25
STAND_BACK = {"ingest": 5, "sample": 5}
"""As far as the local model server does: it shall not starve while the input is counted, nor the counting for it."""
SAMPLE_QUERIES = 3
PRODUCTS_ASKED = 50
"""Of so many the best supported are shown: one with its intents, one with what is bought with it."""
STOP_FEED_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """``bounds`` of the wait for features; ``serve``: look-ups from the beginning, and go on until interrupted."""

    baskets: int = DEFAULT_BASKETS
    seed: int = DEFAULT_SEED
    fresh: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    serve: bool = False


def demonstrate(settings: Settings, options: Options, show: Show) -> dict[str, Any]:
    """Run it all and return the summary, which is also written to ``summary.json`` in COSMO_HOME.

    Raises CosmoError when a part cannot be started or a worker stopped on purpose, and KeyboardInterrupt when it was
    interrupted before its goal; in every case all that was started has been stopped.
    """
    with interrupts.once():
        return _Run(settings, options, show, Record(home=Home.at(settings.home))).run()


def begin_anew(settings: Settings) -> None:
    """Remove what earlier runs stored. Raises CosmoError while the stack of this home runs."""
    if any(part.pids for part in session.status(settings) if part.ours):
        raise CosmoError("The local stack runs.", advice="Stop it with `cosmo stack down`, or go on without --fresh.")
    home = Home.at(settings.home)
    with home.locked(), disk_errors(home.root):
        for directory in (home.data, home.root / "feast"):
            shutil.rmtree(directory, ignore_errors=True)


@dataclass(slots=True)
class _Run:
    settings: Settings
    options: Options
    show: Show
    record: Record

    def run(self) -> dict[str, Any]:
        try:
            return self._run(self.record.home)
        except BaseException as error:
            self.record.broken_off(error)
            raise

    def _run(self, home: Home) -> dict[str, Any]:
        if self.options.fresh:
            begin_anew(self.settings)
        self._check_ports()
        known = self._recall(home)
        self.record.begin()
        self.show.say("Reading the baskets and starting the local stack …")
        with ExitStack() as running:
            stack = running.enter_context(session.joined(self.settings, progress=self._part))
            remembered.save(home.data, known)
            self._with_stack(running, stack, known, home)
        return self.record.document

    def _with_stack(self, running: ExitStack, stack: Stack, known: remembered.Remembered, home: Home) -> None:
        connected, env = stack.connected(), stack.env()
        children = Children(connected, env=env, logs=home.logs, nice=STAND_BACK)
        api = Api(settings=connected, env=env, logs=home.logs)
        watch = Watch(
            settings=connected,
            pids=lambda: [os.getpid(), *_pids(stack), *children.pids, *api.pids],
            infer_port=port_of("infer", connected),
            sample_port=port_of("sample", connected),
            started_s=self.record.started_s,
            started_at=self.record.started_at,
        )
        kept = (Keeper(stack.parts.values()), children, api)
        flow = _Flow(self, connected, kept, watch, known, home)
        running.push(lambda _type, error, _traceback: flow.conclude_again(error))
        running.enter_context(watch)  # outlives the workers
        self._start_workers(running, children, api)
        flow.began_s = time.monotonic()
        self.record.runs()
        running.push(lambda _type, error, _traceback: flow.conclude(error))
        flow.send()
        running.callback(flow.stop)
        running.callback(self.show.say, "Stopping …")
        flow.until_goal()
        told = flow.tell(flow.results(stack))
        with suppress(KeyboardInterrupt):
            while self.options.serve:
                flow.look()
                told = told or flow.tell_late(stack)

    def _start_workers(self, running: ExitStack, children: Children, api: Api) -> None:
        running.enter_context(children.running())
        self.show.say("The workers start; the input follows.")
        if self.options.serve:
            running.enter_context(api.serving())
            self.show.say(f"Look-ups are served at http://127.0.0.1:{api.settings.lookup_port} from now on.")

    def _recall(self, home: Home) -> remembered.Remembered:
        options = self.options
        return remembered.recall(home.data, baskets=options.baskets, seed=options.seed, now=self.record.started_at)

    def _check_ports(self) -> None:
        for process in PORTS:
            check_free(f"The {process} worker", [port_of(process, self.settings)], "COSMO_WORKER_PORT")
        if self.options.serve:
            check_free("The look-up API", [self.settings.lookup_port], "COSMO_LOOKUP_PORT")

    def _part(self, name: Name, phase: Phase, detail: str) -> None:
        if phase is not Phase.STARTING:
            self.show.say(f"  {name:<9} {detail if phase is not Phase.READY else f'ready at {detail}'}")


class Kept(Protocol):
    """Processes that are started again when they die."""

    def look(self) -> None:
        """See whether they run. Raises CosmoError when starting them again does not help."""


@dataclass(slots=True)
class _Flow:
    """The stream while it runs."""

    of: _Run
    settings: Settings
    kept: Sequence[Kept]
    watch: Watch
    known: remembered.Remembered
    home: Home
    feed: Feed | None = None
    began_s: float = field(default_factory=time.monotonic)
    """When the workers ran."""
    _knowing: threading.Lock = field(default_factory=threading.Lock)
    _all_sent: bool = False
    _ending: Ending = Ending.INTERRUPTED
    _concluded: tuple[Reading, End] | None = None
    """With what, when the stop began."""

    def send(self) -> None:
        """Begin to send what no earlier run has sent to its end."""
        missing = [topic for topic in (SEARCHES, ORDERS) if topic not in self.known.sent]
        if not missing:
            self.of.show.say("The input is there from an earlier run (--fresh begins anew).")
            return
        simulation = Simulation.over(baskets=self.known.baskets, seed=self.known.seed, now=self.known.now)
        self.feed = Feed(self.settings, simulation, self._sent)
        self.feed.start(missing)

    def until_goal(self) -> None:
        """Wait until the input is sent and counted and enough entities have features, or the time is over."""
        while (ending := self._ended()) is None:
            self.look()
        self._ending = ending

    def look(self) -> None:
        """One turn: mend what died, show what is. Raises CosmoError for what does not let itself be mended."""
        for running in self.kept:
            running.look()
        self._all_sent = self.feed is None or self.feed.look()
        self.of.show.update(self.watch.latest, self.sent, self.seconds)
        time.sleep(LOOK_S)

    def stop(self) -> None:
        if self.feed is not None:
            self.feed.stop(STOP_FEED_S)

    def tell(self, results: Results) -> bool:
        """Show what came of it, also to whoever reads ``summary.json`` meanwhile; whether there was an answer."""
        self.of.record.note(results.reading, results.sent, self._end)
        self.of.show.results(results)
        return bool(results.answers)

    def tell_late(self, stack: Stack) -> bool:
        """`tell` once there is something to tell; whether there was. A store that is just being started again is asked
        again."""
        if not self.watch.latest.entities:
            return False
        with suppress(StoreUnreachable):
            results = self.results(stack)
            return bool(results.answers) and self.tell(results)
        return False

    @property
    def ending(self) -> Ending:
        """Why the wait ended; the goal, also when it was reached after that."""
        return Ending.GOAL if self._ended() is Ending.GOAL else self._ending

    @property
    def seconds(self) -> float:
        return self.of.record.seconds

    @property
    def sent(self) -> Sent:
        feed = self.feed
        return Sent.of(self.known.sent, feed.progress if feed else {}, self.known.foreign)

    def results(self, stack: Stack) -> Results:
        """Sample look-ups through the readers' code, and where everything is."""
        answers = asyncio.run(self._answers())
        return Results(
            answers=answers,
            addresses=list(self._addresses(stack)),
            reading=self.watch.latest,
            sent=self.sent,
            remaining=queue(self.watch.latest),
            serving=self.of.options.serve,
            ending=self.of.options.bounds.sentence(self.ending, self.watch.latest),
        )

    def conclude(self, error: BaseException | None) -> None:
        """Write the summary when the stop begins, which ``error`` may have brought."""
        reading, end = self.watch.latest, self._end.broken_off(error)
        self.of.record.conclude(reading, self.sent, end)
        self._concluded = reading, end

    def conclude_again(self, error: BaseException | None) -> None:
        """Write it again once the workers have stopped, with what they have still done meanwhile."""
        if self._concluded is not None:
            before, end = self._concluded
            self.of.record.conclude(after_workers(self.watch.latest, before), self.sent, end.broken_off(error))

    @property
    def _end(self) -> End:
        ending = self.ending
        return End(ending=ending, during=During.RUN, reached_goal=ending is Ending.GOAL)

    def _ended(self) -> Ending | None:
        seconds = time.monotonic() - self.began_s
        return self.of.options.bounds.ending(self.watch.latest, all_sent=self._all_sent, seconds=seconds)

    def _sent(self, figures: Summary, foreign: int | None) -> None:
        """Of a topic's thread, when it has sent all; both end at about the same time."""
        topic = figures.topic.removeprefix(self.settings.topic_prefix)
        with self._knowing:
            self.known = self.known.with_sent(topic, figures.document(), foreign)
            remembered.save(self.home.data, self.known)

    async def _answers(self) -> Sequence[Answer]:
        reader = build(self.settings)
        try:
            queries = self.watch.best(EntityKind.QUERY, SAMPLE_QUERIES)
            products = self.watch.best(EntityKind.PRODUCT, PRODUCTS_ASKED)
            batch = await reader.batch(queries, products, products, explain=True)
            about = _known([*batch.products, *batch.complements])
            return [*_known(batch.queries), *_one_of_each(about)]
        finally:
            await reader.close()

    def _addresses(self, stack: Stack) -> Iterable[tuple[str, str]]:
        for part in stack.parts.values():
            yield part.label, part.address
        for process in PORTS:
            yield f"{process} worker", f"http://127.0.0.1:{port_of(process, self.settings)}/metrics"
        if self.of.options.serve:
            yield "Look-up API", f"http://127.0.0.1:{self.settings.lookup_port}/openapi.json"
        yield "Logs", str(self.home.logs)
        yield "Summary", str(self.home.root / "summary.json")


def _known(answers: Iterable[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status is not Status.NONE]


def _one_of_each(answers: Sequence[Answer]) -> list[Answer]:
    """The first answer of each kind, which is the best supported."""
    first: dict[type, Answer] = {}
    for answer in answers:
        first.setdefault(type(answer), answer)
    return list(first.values())


def _pids(stack: Stack) -> list[int]:
    return [process.pid for child in stack.children if (process := child.process())]
