"""Asks the model server in micro-batches, several at a time, until every prompt has an answer or stands convicted.

A prompt's future ends with its `Answer`, or with `Unanswerable` when it failed alone as often as its error allows while
the server answered others. While the server is away nothing ends and nothing is given up: prompts wait, and so does
whoever wants to add one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cosmo.runtime import logs
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.metrics import counter, gauge, histogram
from cosmo.runtime.settings import Settings
from inference.asked import Answer, SamplingParams
from inference.batcher import Batcher, Lane, halves
from inference.blame import Verdict, judge, pause_s
from inference.client import LmClient
from inference.errors import ModelUnavailable, Suspect, Unanswerable
from inference.gate import Gate

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A prompt's text that waits for its answer."""

    text: str
    answer: asyncio.Future[Answer]


@dataclass(frozen=True, slots=True)
class Part:
    """A batch, or what is left of one after halving."""

    questions: Sequence[Question]
    attempts: int = 0
    """Since it was cut, whatever came of them; pauses grow by them."""
    failures: int = 0
    """Of those, the ones that the server is not to blame for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRule:
    """How much is asked at once, and how long anybody waits."""

    batch_prompts: int
    batch_wait_s: float
    """From the first prompt of a batch until it is sent, full or not."""
    in_flight: int
    """Batches at the server at the same time."""
    timeout_s: float
    """The deadline of one attempt: a batch that is not answered in it is asked again, and then in halves."""
    room: int
    """Prompts that may wait in each lane; beyond it `ask` waits, which is how backpressure reaches the broker."""

    @classmethod
    def of(cls, settings: Settings) -> AskRule:
        """Room for what is sent next, and no more: what waits here cannot be overtaken by a better pair."""
        return cls(
            batch_prompts=settings.lm_batch_prompts,
            batch_wait_s=settings.lm_batch_wait_s,
            in_flight=settings.lm_in_flight,
            timeout_s=settings.lm_timeout_s,
            room=2 * settings.lm_batch_prompts,
        )


@dataclass(slots=True)
class Asker:
    """The thin shell around `Batcher`, `Breaker` and `judge`. Time is the running event loop's."""

    client: LmClient
    params: SamplingParams
    rule: AskRule
    jitter: Callable[[], float] = random.random
    _gate: Gate = field(init=False)
    _batcher: Batcher[Question] = field(init=False)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _askers: set[asyncio.Task[None]] = field(default_factory=set)
    _exchanging: set[asyncio.Task[None] | None] = field(default_factory=set)
    _open: set[asyncio.Future[Answer]] = field(default_factory=set)
    _broken: BaseException | None = None
    _stopping: bool = False

    def __post_init__(self) -> None:
        self._gate = Gate(self.client, self.params, self.rule.timeout_s, jitter=self.jitter)
        self._batcher = Batcher(max_size=self.rule.batch_prompts, max_wait_s=self.rule.batch_wait_s)

    def start(self) -> None:
        """Begin to ask; one task for each batch in flight."""
        gauge("cosmo_lm_breaker_open").set(0)
        self._askers = {asyncio.create_task(self._run(), name=f"asker-{n}") for n in range(self.rule.in_flight)}
        for task in self._askers:
            task.add_done_callback(self._asker_ended)

    async def ask(self, text: str, lane: Lane) -> asyncio.Future[Answer]:
        """The future answer, as soon as there is room for the question. Cancel it when nobody wants it any more."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        async with self._changed:
            await self._changed.wait_for(lambda: self._broken or self._batcher.waiting(lane) < self.rule.room)
            if self._broken:
                raise self._broken
            self._batcher.add(Question(text, answer), lane, _now_s())
            self._changed_now()
        self._open.add(answer)
        answer.add_done_callback(self._open.discard)
        return answer

    async def forget_cancelled(self) -> None:
        """Take the questions out of the lanes whose futures were cancelled."""
        async with self._changed:
            self._batcher.drop(lambda question: question.answer.done())
            self._changed_now()

    async def stop(self, deadline: Deadline) -> None:
        """Send nothing new, wait within the deadline for what is at the server, and cancel all other answers."""
        self._stopping = True
        for task in self._askers - self._exchanging:
            task.cancel()
        if self._askers:
            await asyncio.wait(self._askers, timeout=deadline.remaining_s)
        for task in self._askers:
            task.cancel()
        for answer in tuple(self._open):
            answer.cancel()
        await self.client.close()

    async def _run(self) -> None:
        while not self._stopping:
            await self._gate.passed()
            parts = [Part(await self._take())]
            while parts and not self._stopping:
                parts += await self._attempt(parts.pop())

    async def _take(self) -> list[Question]:
        """The next batch, when it is due."""
        async with self._changed:
            while not self._batcher.due(_now_s()):
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(self._batcher.due_at_s()):
                        await self._changed.wait()
            taken = self._batcher.take()
            self._changed_now()
        histogram("cosmo_lm_batch_prompts").observe(len(taken))
        histogram("cosmo_lm_batch_wait_seconds").observe(_now_s() - min(one.since_s for one in taken))
        return [one.item for one in taken]

    async def _attempt(self, part: Part) -> list[Part]:
        """Ask once; what is still to be asked, the next first from the end."""
        part = Part([one for one in part.questions if not one.answer.done()], part.attempts + 1, part.failures)
        if not part.questions:
            return []
        await self._gate.passed()
        try:
            answers = await self._exchange([question.text for question in part.questions])
        except ModelUnavailable as error:
            self._gate.unavailable(error)
            return await self._later(part)
        except Suspect as error:
            return await self._investigate(part, error)
        self._gate.worked()
        counter("cosmo_lm_prompts_total").labels("answered").inc(len(answers))
        for question, answer in zip(part.questions, answers, strict=True):
            if not question.answer.done():
                question.answer.set_result(answer)
        return []

    async def _exchange(self, texts: Sequence[str]) -> Sequence[Answer]:
        task = asyncio.current_task()
        self._exchanging.add(task)
        gauge("cosmo_lm_in_flight").set(len(self._exchanging))
        try:
            return await self.client.complete(texts, self.params, timeout_s=self.rule.timeout_s)
        finally:
            self._exchanging.discard(task)
            gauge("cosmo_lm_in_flight").set(len(self._exchanging))

    async def _investigate(self, part: Part, error: Suspect) -> list[Part]:
        """Is it the server, or one of these prompts? The probe tells."""
        if not await self._gate.works():
            return [part]
        part = Part(part.questions, part.attempts, part.failures + 1)
        verdict = judge(error, prompts=len(part.questions), failures=part.failures)
        if verdict is Verdict.AGAIN:
            return await self._later(part)
        if verdict is Verdict.HALVE:
            log.warning("batch failed, halving it", prompts=len(part.questions), reason=error.what)
            first, second = halves(part.questions)
            return [Part(second), Part(first)]
        self._give_up(part.questions[0], error)
        return []

    async def _later(self, part: Part) -> list[Part]:
        await asyncio.sleep(pause_s(part.attempts, self.jitter()))
        return [part]

    def _give_up(self, question: Question, error: Suspect) -> None:
        log.warning("prompt given up", reason=error.reason, detail=error.what)
        counter("cosmo_lm_prompts_total").labels(error.reason).inc()
        if not question.answer.done():
            question.answer.set_exception(Unanswerable(error))

    def _changed_now(self) -> None:
        """Wake those who wait for room or for a batch. The condition is held."""
        for lane in Lane:
            gauge("cosmo_lm_waiting").labels(lane.name.lower()).set(self._batcher.waiting(lane))
        self._changed.notify_all()

    def _asker_ended(self, task: asyncio.Task[None]) -> None:
        """A bug must not look like a slow server: whoever waits gets the exception, and the worker stops."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._broken = error
        for answer in tuple(self._open):
            if not answer.done():
                answer.set_exception(error)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
