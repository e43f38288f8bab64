"""A TCP proxy in front of a part, which a test can take away and bring back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Proxy:
    """While it is down, connections are refused and those that were open are cut, as when a server is killed."""

    host: str
    port: int
    listens_on: int
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.listens_on)

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.transport.abort()
        self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self.host, self.port)
        self._open |= {writer, back}
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            for one in (writer, back):
                self._open.discard(one)
                one.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.transport.abort()


@asynccontextmanager
async def proxied(host: str, port: int, *, listens_on: int) -> AsyncIterator[Proxy]:
    """A proxy that is up."""
    proxy = Proxy(host, port, listens_on)
    await proxy.up()
    try:
        yield proxy
    finally:
        if proxy._server is not None:
            await proxy.down()
