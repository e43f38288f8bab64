"""Asking in micro-batches, on a virtual clock: every prompt ends, the guilty one is found, absence is waited out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmo.runtime.deadline import Deadline
from inference.asked import SamplingParams
from inference.asker import Asker, AskRule
from inference.batcher import Lane
from inference.breaker import LONGEST_PAUSE_S
from inference.errors import (
    BadAnswer,
    InferenceError,
    ModelFailed,
    ModelSlow,
    ModelUnavailable,
    PromptRefused,
    Suspect,
    Unanswerable,
)
from tests.inference.fake_models import EchoingModel
from tests.support.virtual_time import now_s, virtually

RULE = AskRule(batch_prompts=4, batch_wait_s=0.5, in_flight=2, timeout_s=30.0, room=8)


def asking(model: EchoingModel, scenario: Callable[[Asker], Awaitable[Any]], rule: AskRule = RULE) -> Any:
    """Run a scenario with a started asker, on a virtual clock; its result."""

    async def main() -> Any:
        asker = Asker(model, SamplingParams(), rule, jitter=lambda: 0.5)
        asker.start()
        try:
            return await scenario(asker)
        finally:
            await asker.stop(Deadline.after(0.0, clock=asyncio.get_running_loop().time))

    return virtually(main())


async def outcomes(asker: Asker, texts: Sequence[str], lane: Lane = Lane.PAIRS) -> dict[str, str]:
    """What each text was answered, or the reason for which it was given up."""
    asked = [(text, asyncio.create_task(ended(asker, text, lane))) for text in texts]
    return {text: await task for text, task in asked}


async def ended(asker: Asker, text: str, lane: Lane) -> str:
    try:
        answer = await (await asker.ask(text, lane))
    except Unanswerable as error:
        return error.reason
    return answer.candidates[0].text


def numbers(count: int) -> list[str]:
    return [f"q{n}" for n in range(count)]


def holding(bad: set[str], error: type[InferenceError]) -> Callable[[Sequence[str]], InferenceError | None]:
    return lambda texts: error("as told") if bad & set(texts) else None


@given(st.integers(0, 40))
def test_every_question_gets_its_own_answer(count: int) -> None:
    found = asking(EchoingModel(), lambda asker: outcomes(asker, numbers(count)))
    assert found == {text: text for text in numbers(count)}


def test_batches_are_full_under_load_and_several_are_in_flight() -> None:
    model = EchoingModel()
    asking(model, lambda asker: outcomes(asker, numbers(16)))
    assert [len(texts) for _, texts in model.asked] == [4, 4, 4, 4]
    assert model.most_at_once == RULE.in_flight


def test_a_batch_that_is_not_full_leaves_at_its_deadline() -> None:
    model = EchoingModel()

    async def scenario(asker: Asker) -> None:
        first = await asker.ask("first", Lane.PAIRS)
        await asyncio.sleep(0.4)
        second = await asker.ask("second", Lane.PAIRS)
        await asyncio.gather(first, second)

    asking(model, scenario)
    assert model.asked == [(0.5, ["first", "second"])]


def test_who_asks_waits_while_there_is_no_room() -> None:
    """This is how a slow model holds up the consumer: what is taken on is bounded, whatever waits on the broker."""
    model = EchoingModel(seconds=1e6)

    async def scenario(asker: Asker) -> int:
        tasks = [asyncio.create_task(asker.ask(text, Lane.PAIRS)) for text in numbers(1000)]
        await asyncio.sleep(10.0)
        admitted = sum(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        return admitted

    rule = AskRule(batch_prompts=4, batch_wait_s=0.5, in_flight=2, timeout_s=1e7, room=8)
    assert asking(model, scenario, rule) == rule.room + rule.in_flight * rule.batch_prompts


def test_a_request_is_admitted_and_asked_before_the_pairs_that_wait() -> None:
    model = EchoingModel()

    async def scenario(asker: Asker) -> None:
        pairs = asyncio.create_task(outcomes(asker, numbers(40)))
        await asyncio.sleep(2.5)
        request = asyncio.create_task(outcomes(asker, ["urgent"], Lane.REQUESTS))
        await asyncio.gather(pairs, request)

    asking(model, scenario)
    (index,) = [index for index, (_, texts) in enumerate(model.asked) if "urgent" in texts]
    assert model.asked[index][1][0] == "urgent"
    assert model.asked[index][0] == 3.0  # the first batch that left after it came at 2.5


@given(
    st.integers(1, 24),
    st.sets(st.integers(0, 23), max_size=4),
    st.sampled_from([PromptRefused, ModelFailed, BadAnswer]),
)
@settings(deadline=None)
def test_only_the_prompts_that_fail_are_given_up_however_they_were_batched(
    count: int, chosen: set[int], kind: type[Suspect]
) -> None:
    bad = {text for text in numbers(count) if int(text[1:]) in chosen}
    found = asking(EchoingModel(fails=holding(bad, kind)), lambda asker: outcomes(asker, numbers(count)))
    assert found == {text: kind.reason if text in bad else text for text in numbers(count)}


def test_a_batch_that_is_too_large_for_the_deadline_is_asked_in_halves() -> None:
    """Two at a time are in time, four are not."""
    model = EchoingModel(fails=lambda texts: ModelSlow("late") if len(texts) > 2 else None)
    found = asking(model, lambda asker: outcomes(asker, numbers(8)))
    assert found == {text: text for text in numbers(8)}


def test_a_server_that_fails_at_everything_is_waited_for_and_no_prompt_is_blamed() -> None:
    """The probe fails as well, so it is not the prompts, though each error alone would convict them."""
    back_at_s = 300.0
    model = EchoingModel(fails=lambda _: ModelFailed("broken") if now_s() < back_at_s else None)
    found = asking(model, lambda asker: outcomes(asker, numbers(12)))
    assert found == {text: text for text in numbers(12)}


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelSlow("hangs")])
def test_ten_minutes_of_absence_are_waited_out_and_answered_without_help(error: InferenceError) -> None:
    back_at_s = 600.0
    model = EchoingModel(seconds=0.01, fails=lambda _: error if now_s() < back_at_s else None)

    async def scenario(asker: Asker) -> tuple[dict[str, str], float]:
        found = await outcomes(asker, numbers(100))
        return found, now_s()

    found, ended_s = asking(model, scenario)
    assert found == {text: text for text in numbers(100)}
    assert ended_s < back_at_s + 2 * LONGEST_PAUSE_S
    asked_meanwhile = [texts for at_s, texts in model.asked if at_s < back_at_s]
    assert len(asked_meanwhile) < 120  # probed now and then, not hammered: on average every 7.5 s, and a few at first


def test_a_lost_connection_now_and_then_costs_an_attempt_and_nothing_else() -> None:
    turns = iter(range(10_000))
    model = EchoingModel(fails=lambda texts: ModelUnavailable("reset") if next(turns) % 5 == 4 else None)
    assert asking(model, lambda asker: outcomes(asker, numbers(60))) == {text: text for text in numbers(60)}


def test_questions_that_nobody_waits_for_are_not_asked() -> None:
    model = EchoingModel(seconds=5.0)

    async def scenario(asker: Asker) -> None:
        futures = [await asker.ask(text, Lane.PAIRS) for text in numbers(8)]
        await asyncio.sleep(0.0)
        waiting = [await asker.ask(text, Lane.PAIRS) for text in ("late 1", "late 2")]
        for future in waiting:
            future.cancel()
        await asker.forget_cancelled()
        await asyncio.gather(*futures)
        await asyncio.sleep(60.0)

    asking(model, scenario)
    assert sorted(text for _, texts in model.asked for text in texts) == numbers(8)


def test_a_stop_lets_the_server_finish_and_cancels_what_waits() -> None:
    model = EchoingModel(seconds=5.0)

    async def main() -> list[str]:
        asker = Asker(model, SamplingParams(), RULE)
        asker.start()
        futures = [await asker.ask(text, Lane.PAIRS) for text in numbers(16)]
        await asyncio.sleep(0.1)
        await asker.stop(Deadline.after(10.0, clock=asyncio.get_running_loop().time))
        assert now_s() < 6.0
        return ["answered" if not future.cancelled() else "cancelled" for future in futures]

    found = virtually(main())
    assert found == ["answered"] * 8 + ["cancelled"] * 8
    assert model.closed


def test_a_stop_while_the_server_is_away_does_not_use_up_the_deadline() -> None:
    async def main() -> float:
        asker = Asker(EchoingModel(seconds=0.0, fails=lambda _: ModelUnavailable("away")), SamplingParams(), RULE)
        asker.start()
        waiting = await asker.ask("q", Lane.PAIRS)
        await asyncio.sleep(60.0)
        began_s = now_s()
        await asker.stop(Deadline.after(10.0, clock=asyncio.get_running_loop().time))
        assert waiting.cancelled()
        return now_s() - began_s

    assert virtually(main()) == 0.0


def test_a_bug_reaches_whoever_waits_instead_of_looking_like_a_slow_server() -> None:
    def bug(_: Sequence[str]) -> InferenceError | None:
        raise ZeroDivisionError

    async def scenario(asker: Asker) -> None:
        with pytest.raises(ZeroDivisionError):
            await (await asker.ask("q", Lane.PAIRS))

    asking(EchoingModel(fails=bug), scenario)
