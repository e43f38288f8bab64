"""A Redis that fails over: the old primary lives on as a replica, and its name leads to the new one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as NotUpYet

from cosmo.runtime.settings import Settings
from cosmo.stack.ports import Ports
from cosmo.stack.valkey import _program
from features.entities import view_of
from features.merge import Change
from features.online.redis_store import connect
from features.online.store import Ref
from features.online.writer import Writer
from schemas.records import EntityKind
from tests.features.examples import TOP_3, intent
from tests.integration.proxy import proxied
from tests.support.processes import until

pytestmark = pytest.mark.integration

BOUND_S = 60.0


@contextmanager
def valkey(directory: Path) -> Iterator[Redis]:
    """A client of a server of its own, which is up."""
    port = Ports.free(brokers=1).registry
    directory.mkdir()
    command = [_program(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with closing(Redis(port=port)) as client:
            assert until(lambda: _answers(client), within_s=BOUND_S)
            yield client
    finally:
        process.kill()
        process.wait()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except NotUpYet:
        return False


def _link(client: Redis) -> object:
    known: Any = client.info("replication")
    return known["master_link_status"]


def _port(client: Redis) -> int:
    return int(client.connection_pool.connection_kwargs["port"])


async def test_a_writer_goes_on_by_itself_after_a_failover(tmp_path: Path) -> None:
    """Connections that are open stay so, and lead to who refuses to be written to now."""
    with valkey(tmp_path / "old") as old, valkey(tmp_path / "new") as new:
        async with proxied("127.0.0.1", _port(old), listens_on=Ports.free(brokers=1).registry) as name:
            store = connect(Settings(redis_url=SecretStr(f"redis://127.0.0.1:{name.listens_on}/0")))
            writer, first = Writer(store, TOP_3), intent()
            ref = Ref(view_of(EntityKind.QUERY, first), first.query or "")
            await asyncio.wait_for(writer.apply({ref: [Change(intent=first)]}), BOUND_S)
            new.replicaof("127.0.0.1", str(_port(old)))
            assert until(lambda: _link(new) == "up", within_s=BOUND_S)
            new.replicaof("NO", "ONE")
            old.replicaof("127.0.0.1", str(_port(new)))
            name.port = _port(new)
            other = intent(intent_id="i-2", tail="other", tail_key="other")
            await asyncio.wait_for(writer.apply({ref: [Change(intent=other)]}), BOUND_S)
            assert new.exists(store._key(ref)) == 1
            await store.close()
