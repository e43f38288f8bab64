"""What becomes of Redis' replies that are errors, told apart by their code; no Redis needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from redis.exceptions import OutOfMemoryError, ResponseError

from cosmo.runtime.settings import Settings
from features.errors import StoreRefused, StoreUnreachable
from features.online.redis_store import RedisStore, _PackedConnection, connect
from features.online.store import Ref, Replacement
from features.views import QUERY_INTENTS

TENT, UMBRELLA = Ref(QUERY_INTENTS, "tent"), Ref(QUERY_INTENTS, "umbrella")
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


class AnsweringPipeline:
    """Takes every command and gives the answers it was made with, as redis-py's pipeline does."""

    def __init__(self, answers: list[object]) -> None:
        self._answers = answers

    def pipeline(self, *, transaction: bool) -> AnsweringPipeline:
        assert not transaction
        return self

    def get(self, *_: object) -> None: ...
    def hmget(self, *_: object) -> None: ...
    def eval(self, *_: object) -> None: ...

    async def execute(self, raise_on_error: bool = True) -> list[object]:
        first = next((one for one in self._answers if isinstance(one, Exception)), None)
        if raise_on_error and first is not None:
            first.args = (f"Command # 1 (EVAL …) of pipeline caused error: {first.args}",)
            raise first
        return self._answers


def store(*answers: object) -> RedisStore:
    client: Any = AnsweringPipeline(list(answers))
    return RedisStore(client, "cosmo")


async def test_a_key_of_another_type_is_that_rows_damage_and_no_other_rows() -> None:
    whole = [b"version", *[b""] * (len(QUERY_INTENTS.features) + 2)]
    mark, (bad, good) = await store(b"shape", ResponseError(WRONG_TYPE), whole).read_applied([TENT, UMBRELLA])
    assert mark == "shape"
    assert (bad.version, bad.fields, "hash" in bad.damage) == (None, {}, True)
    assert (good.version, good.damage) == (b"version", "")


async def test_a_key_that_became_of_another_type_is_not_written() -> None:
    replacements = [Replacement(TENT, None, {}), Replacement(UMBRELLA, None, {})]
    assert await store(ResponseError(WRONG_TYPE), 1).replace(replacements) == [False, True]


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'.", status_code="OOM"),
        ResponseError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to."),
    ],
    ids=["out-of-memory", "disk-full"],
)
async def test_what_passes_by_itself_is_waited_for(error: ResponseError) -> None:
    with pytest.raises(StoreUnreachable):
        await store(error).replace([Replacement(TENT, None, {})])


async def test_what_does_not_pass_by_itself_is_refused() -> None:
    with pytest.raises(StoreRefused):
        await store(ResponseError("ERR unknown command 'EVAL'")).replace([Replacement(TENT, None, {})])
    with pytest.raises(StoreRefused):
        await store(ResponseError(WRONG_TYPE)).read_applied([])  # the mark is every reader's


@asynccontextmanager
async def redis_that_says(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    """Its URL. Whatever it is asked, it says only this."""
    asked: set[asyncio.StreamWriter] = set()

    async def serve(commands: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        asked.add(answers)
        while await commands.read(4096):
            answer(answers)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        for one in asked:
            one.close()
        server.close()


async def test_a_redis_that_takes_a_question_and_never_answers_is_away() -> None:
    async with redis_that_says(lambda _: None) as url:
        stuck = connect(Settings(redis_url=SecretStr(url)), timeout_s=0.05)
        for _ in range(2):
            with pytest.raises(StoreUnreachable, match="in time"):
                await stuck.read([TENT])
        await stuck.close()


@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_commands_of_any_size_are_packed_as_redis_reads_them(size: int) -> None:
    packed = _PackedConnection().pack_command("HSET", b"key", "ä 日本", 7, b"\r\n" * size)
    value = b"\r\n" * size
    assert b"".join(packed) == (
        "*5\r\n$4\r\nHSET\r\n$3\r\nkey\r\n$9\r\nä 日本\r\n$1\r\n7\r\n".encode() + b"$%d\r\n%s\r\n" % (len(value), value)
    )
