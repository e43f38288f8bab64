"""The online store on Redis, Valkey or Redis Cluster."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.asyncio import Connection, Redis, RedisCluster, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 - redis-py's own
    MasterDownError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own
)

from cosmo.runtime.settings import Settings
from features.errors import StoreRefused, StoreUnreachable
from features.online import format as feast_format
from features.online.store import Ref, Replacement, Stored
from features.project import project_name
from features.views import View

REPLACE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
"""
"""ARGV: the version's field, the version expected ('' for none), then field, value, field, value …
Sent as text: EVALSHA needs a script load on each node, and its loss handled; the text costs 150 bytes."""
WRITE_ANEW = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1])
elseif (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
return 1
"""
"""As above, over whatever is there; ARGV[3] is the one field of a row that is not always written."""

TIMEOUT_S = 5.0
"""For one answer. A pipeline of 500 rows takes about 20 ms; longer than this and the server is not there."""
CONNECT_TIMEOUT_S = 2.0
WRONG_TYPE = "WRONGTYPE"
"""Redis' reply to a command for hashes on a key that is none: it concerns that key alone."""
PASSING = ("OOM", "MISCONF", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "TRYAGAIN", "BUSY")
"""Redis' replies that go away without anybody changing us."""


class RedisStore:
    """`OnlineStore` on a Redis client that does not decode responses. Safe for concurrent use in one event loop."""

    def __init__(self, client: Any, project: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._project = project
        self._timeout_s = timeout_s

    async def read(self, refs: Sequence[Ref], features: Mapping[View, Collection[str]] | None = None) -> list[Stored]:
        """See OnlineStore."""
        return (await self.read_applied(refs, features))[1]

    async def read_applied(
        self, refs: Sequence[Ref], features: Mapping[View, Collection[str]] | None = None
    ) -> tuple[str | None, list[Stored]]:
        """See OnlineStore."""
        wanted = {view: _fields(view, features) for view in {ref.view for ref in refs}}
        async with self._answering():
            pipe = self._client.pipeline(transaction=False)
            pipe.get(self._applied_key)
            for ref in refs:
                pipe.hmget(self._key(ref), wanted[ref.view])
            mark, *rows = _answers(await pipe.execute(raise_on_error=False))
            if isinstance(mark, ResponseError):
                raise mark
        stored = [_stored(wanted[ref.view], values) for ref, values in zip(refs, rows, strict=True)]
        return (mark.decode("utf-8", "replace") if mark else None), stored

    async def replace(self, replacements: Sequence[Replacement]) -> list[bool]:
        """See OnlineStore."""
        if not replacements:
            return []
        async with self._answering():
            pipe = self._client.pipeline(transaction=False)
            for one in replacements:
                flat = [part for pair in one.fields.items() for part in pair]
                expected = (feast_format.timestamp_field(one.ref.view), one.expected or b"")
                if one.anew:
                    flat = [feast_format.retracted_field(one.ref.view), *flat]
                pipe.eval(WRITE_ANEW if one.anew else REPLACE, 1, self._key(one.ref), *expected, *flat)
            return [done == 1 for done in _answers(await pipe.execute(raise_on_error=False))]

    async def mark_applied(self, fingerprint: str) -> None:
        """See OnlineStore."""
        async with self._answering():
            await self._client.set(self._applied_key, fingerprint)

    async def renew_mark(self, fingerprint: str) -> bool:
        """See OnlineStore."""
        async with self._answering():
            return bool(await self._client.set(self._applied_key, fingerprint, xx=True))

    async def life(self) -> str:
        """See OnlineStore."""
        async with self._answering():
            await self._client.set(self._life_key, secrets.token_hex(8), nx=True)
            return (await self._client.get(self._life_key) or b"").decode()

    async def close(self) -> None:
        """See OnlineStore."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[None]:
        """One time limit for a pipeline: redis-py's, one for each of its answers, would let 500 rows take 500 times as
        long, and takes a tenth of their reading."""
        with _translated():
            try:
                async with asyncio.timeout(self._timeout_s):
                    yield
            except (ReadOnlyError, MasterDownError):
                await self._client.aclose()  # the next call connects anew, and the name may lead to another by then
                raise

    @property
    def _applied_key(self) -> str:
        return f"cosmo:applied:{self._project}"

    @property
    def _life_key(self) -> str:
        return f"cosmo:life:{self._project}"

    def _key(self, ref: Ref) -> bytes:
        return feast_format.entity_key(self._project, ref.view, ref.key)


def connect(settings: Settings, *, timeout_s: float = TIMEOUT_S) -> RedisStore:
    """The store of these settings; it connects at its first call. ``timeout_s`` bounds the wait for one answer."""
    url = settings.redis_url.get_secret_value()
    options: dict[str, Any] = {
        "socket_connect_timeout": min(timeout_s, CONNECT_TIMEOUT_S),
        "health_check_interval": 30,
    }
    client: Any
    if settings.redis_cluster:
        client = RedisCluster.from_url(url, socket_timeout=timeout_s, **options)
    else:  # retries are ours: the writer's never end, a reader's never begin
        client = Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=None, **options)
        pool = client.connection_pool
        pool.connection_class = _PACKED.get(pool.connection_class, pool.connection_class)
    return RedisStore(client, project_name(settings), timeout_s=timeout_s)


class _Packed:
    """Commands packed by hiredis. redis-py's asyncio connections take only answers apart by it, and a batch of look-ups
    is a thousand arguments: packing them in Python takes a third of its reading."""

    _packer = HiredisRespSerializer()

    def pack_command(self, *args: Any) -> list[bytes]:
        return self._packer.pack(*args)  # type: ignore[no-any-return]


class _PackedConnection(_Packed, Connection):
    pass


class _PackedTlsConnection(_Packed, SSLConnection):
    pass


_PACKED: Mapping[type, type] = {Connection: _PackedConnection, SSLConnection: _PackedTlsConnection}


def _fields(view: View, features: Mapping[View, Collection[str]] | None) -> list[bytes]:
    if features is not None and view in features:
        return [feast_format.timestamp_field(view), *(feast_format.field(view, name) for name in features[view])]
    every = (name for name, _ in feast_format.layout(view))
    ours = (feast_format.retracted_field(view), feast_format.reserve_field(view))
    return [feast_format.timestamp_field(view), *ours, *every]


def _answers(answers: Sequence[Any]) -> Sequence[Any]:
    """A pipeline's answers; of errors only those that concern one key are among them, any other is raised."""
    for answer in answers:
        if isinstance(answer, Exception) and _code(answer) != WRONG_TYPE:
            raise answer
    return answers


def _code(error: Exception) -> str:
    """The first word of Redis' reply, which redis-py takes away where it has a class for it."""
    return getattr(error, "status_code", None) or str(error).partition(" ")[0]


def _stored(names: Sequence[bytes], values: Sequence[bytes | None] | ResponseError) -> Stored:
    if isinstance(values, ResponseError):
        return Stored(None, {}, damage="its key holds something else than a hash")
    present = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    return Stored(present.pop(names[0], None), present)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (AuthenticationError, AuthorizationError) as error:
        raise StoreRefused(f"Redis refuses us: {error}.", advice="Check the password in REDIS_URL.") from error
    except (ConnectionError, TimeoutError, ReadOnlyError, RedisClusterException, OSError) as error:
        raise _unreachable(error) from error
    except ResponseError as error:
        if _code(error) in PASSING:
            raise _unreachable(error) from error
        raise StoreRefused(f"Redis refuses a command: {error}.", advice="Is REDIS_URL really Feast's Redis?") from error
    except RedisError as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> StoreUnreachable:
    detail = str(error).rstrip(".") or "no answer in time"
    return StoreUnreachable(
        f"Redis does not answer: {detail}.", advice="Start it with `cosmo stack up`, or set REDIS_URL."
    )
