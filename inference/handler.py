"""The infer process: pairs and requests in; intents, rejected ones and what they say of each entity out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from cosmo.runtime.deadline import Deadline
from cosmo.runtime.metrics import counter, histogram
from cosmo.runtime.settings import Settings
from inference import http_client
from inference.asked import Answer, Prompt, SamplingParams
from inference.asker import Asker, AskRule
from inference.batcher import Lane
from inference.books import Books
from inference.errors import Unanswerable
from inference.judged import Judged, judge
from inference.pairs import UnusablePair, check, pair_of, prompts_of
from inference.sink import IntentSink
from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.records import BehaviorPair, IntentRequest
from schemas.registry import SchemaLookup
from streams import topics
from streams.fetch.handler import Bad, Fetch, RawRecord
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer

Asked = tuple[Prompt, asyncio.Future[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """How the records of one topic become pairs, and in which lane their prompts wait."""

    lane: Lane
    pair: Callable[[RawRecord], BehaviorPair]
    """Blocks on the registry. Raises Undecodable, and what a registry raises."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that can be asked about."""

    fetch: Fetch
    record: RawRecord
    pair: BehaviorPair


@dataclass(slots=True)
class InferHandler:
    """Asks the model about each record of a fetch; the fetch's promise is kept when all of them have ended.

    At least once: a pair that comes again is asked the same prompts with the same seed, and its intents have the same
    keys. What is released of a pair later is asked when the earlier has been confirmed, so that its edition is the
    newer. While the model server is away `handle` does not return, so lag grows and memory does not.
    """

    routes: dict[str, Route]
    asker: Asker
    sink: IntentSink
    dead_letters: DeadLetters
    relations: int
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _owned: dict[tuple[str, int], Books] = field(default_factory=dict)
    """Of each partition that is ours; other books after each assignment."""

    async def start(self) -> None:
        """Look up our schemas, so that a missing one stops the worker now and not at the first answer."""
        await asyncio.to_thread(self.sink.look_up)
        self.asker.start()

    async def assigned(self, topic: str, partitions: frozenset[int]) -> None:
        """Open the books of each partition."""
        for partition in partitions:
            self._owned[topic, partition] = Books()

    async def revoked(self, topic: str, partitions: frozenset[int]) -> None:
        """Forget what is open: the next owner asks it again, and writes to the same keys what we wrote already."""
        tasks = [task for partition in partitions for task in self._owned.pop((topic, partition), Books()).tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            await self.asker.forget_cancelled()

    async def stop(self, deadline: Deadline) -> None:
        """Let what is at the server finish within the deadline; what waits comes again after the next start."""
        await self.asker.stop(deadline)

    async def handle(self, fetch: Fetch) -> Awaitable[None]:
        """Queue the prompts of every record; returns when the last has found room."""
        route, partition = self.routes[fetch.topic], (fetch.topic, fetch.partition)
        books = self._owned[partition]
        found = await asyncio.to_thread(read, route, fetch)
        bad = [one for one in found if isinstance(one, Bad)]
        self.dead_letters.account(fetch, bad)
        tasks = [books.open(self._bury(fetch, one)) for one in bad]
        for one in found:
            if not isinstance(one, Taken):
                continue
            await books.settled(one.pair.pair_id)
            if self._owned.get(partition) is books:  # else revoked while we waited
                asked = [(prompt, await self.asker.ask(prompt.text, route.lane)) for prompt in self._prompts(one.pair)]
                tasks.append(books.open_pair(one.pair.pair_id, self._settle(one, asked)))
                tasks[-1].add_done_callback(partial(_cancel_all, asked))
        return _all_ended(tasks, ours=lambda: self._owned.get(partition) is books)

    def _prompts(self, pair: BehaviorPair) -> tuple[Prompt, ...]:
        return prompts_of(pair, self.relations)

    async def _settle(self, taken: Taken, asked: Sequence[Asked]) -> None:
        """1. all prompts have ended, 2. judge, 3. every record that came of it is confirmed."""
        answered, given_up = await _endings(asked)
        judged = judge(taken.pair, answered)
        await (await self.sink.write(judged))
        if given_up:
            await self._give_up(taken, given_up)
        self._count(taken.pair, judged, given_up=bool(given_up))

    async def _give_up(self, taken: Taken, given_up: Sequence[tuple[Prompt, Unanswerable]]) -> None:
        """The record goes to the dead letters for the prompts that failed; what the others said is kept."""
        first = given_up[0][1]
        templates = ", ".join(prompt.template_id for prompt, _ in given_up)
        bad = Bad(taken.record, first.reason, f"{templates}: {first.what}")
        await self._bury(taken.fetch, bad)
        self.dead_letters.account(taken.fetch, [bad], again=True)

    async def _bury(self, fetch: Fetch, bad: Bad) -> None:
        await (await self.dead_letters.enqueue(fetch.topic, fetch.partition, bad))

    def _count(self, pair: BehaviorPair, judged: Judged, *, given_up: bool) -> None:
        outcome = "dead_lettered" if given_up else "explained" if judged.accepted else "unexplained"
        counter("cosmo_pairs_total").labels(pair.kind, outcome).inc()
        histogram("cosmo_pair_seconds").labels(pair.kind).observe((self.now() - pair.sampled_time).total_seconds())
        for intent in judged.accepted:
            counter("cosmo_candidates_total").labels(intent.relation, "accepted").inc()
        for rejected in judged.rejected:
            counter("cosmo_candidates_total").labels(rejected.relation, rejected.reason).inc()


def read(route: Route, fetch: Fetch) -> list[Taken | Bad]:
    """Every record of a fetch, in order, as what can be asked about or as what cannot."""
    found: list[Taken | Bad] = []
    for record in fetch.records:
        try:
            pair = route.pair(record)
            check(pair)
        except (Undecodable, UnusablePair) as error:
            found.append(Bad(record, str(error.reason), error.detail))
        else:
            found.append(Taken(fetch, record, pair))
    return found


def sampling_params(settings: Settings) -> SamplingParams:
    """How every prompt is asked."""
    return SamplingParams(
        n=settings.lm_candidates, max_tokens=settings.lm_max_tokens, temperature=settings.lm_temperature
    )


def build(
    settings: Settings, producer: ConfirmingProducer, dead_letters: DeadLetters, registry: SchemaLookup
) -> InferHandler:
    """The handler as the worker runs it."""
    pairs = Codec(topics.BEHAVIOR_PAIRS.name, BehaviorPair, registry)
    requests = Codec(topics.INTENT_REQUESTS.name, IntentRequest, registry)
    prefix = settings.topic_prefix
    return InferHandler(
        routes={
            prefix + topics.BEHAVIOR_PAIRS.name: Route(Lane.PAIRS, lambda one: pairs.decode(one.value, one.headers)),
            prefix + topics.INTENT_REQUESTS.name: Route(
                Lane.REQUESTS, lambda one: pair_of(requests.decode(one.value, one.headers))
            ),
        },
        asker=Asker(http_client.connect(settings), sampling_params(settings), AskRule.of(settings)),
        sink=IntentSink(producer, registry, prefix),
        dead_letters=dead_letters,
        relations=settings.infer_relations,
    )


def _cancel_all(asked: Sequence[Asked], _: object) -> None:
    """Nobody waits for these any more: a pair that was cancelled before it began to wait has not cancelled them."""
    for _prompt, answer in asked:
        answer.cancel()


async def _endings(
    asked: Sequence[Asked],
) -> tuple[list[tuple[Prompt, Answer]], list[tuple[Prompt, Unanswerable]]]:
    """What was answered, and what was given up, each in the order asked. Whatever else ended a prompt is raised."""
    answered: list[tuple[Prompt, Answer]] = []
    given_up: list[tuple[Prompt, Unanswerable]] = []
    endings = await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)
    for (prompt, _), ending in zip(asked, endings, strict=True):
        if isinstance(ending, Answer):
            answered.append((prompt, ending))
        elif isinstance(ending, Unanswerable):
            given_up.append((prompt, ending))
        else:
            raise ending
    return answered, given_up


async def _all_ended(tasks: Sequence[asyncio.Task[None]], *, ours: Callable[[], bool]) -> None:
    """A fetch's promise. One that was revoked is never kept, though some of its records have ended."""
    await asyncio.gather(*tasks)
    if not ours():
        raise asyncio.CancelledError
