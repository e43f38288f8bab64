"""Serves the look-up API until SIGTERM or SIGINT, in this process: more processes are more replicas."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from cosmo.runtime import logs
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.settings import Settings
from features.lookup import api, reader

log = logs.get(__name__)


def run(settings: Settings) -> None:
    """Serve on COSMO_LISTEN_HOST:COSMO_LOOKUP_PORT. Raises CosmoError when that cannot be listened on."""
    _claim(settings.listen_host, settings.lookup_port)
    asyncio.run(_run(settings))
    gc.collect()  # granian's threads panic, and the process aborts, if its server lives on into the interpreter's end


async def _run(settings: Settings) -> None:
    """1. answer until a signal comes, 2. take no more requests and finish those at hand, 3. close the reader."""
    app = api.create(reader.build(settings), max_keys=settings.lookup_batch)
    server: Any = Server(
        app,
        address=settings.listen_host,
        port=settings.lookup_port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_enabled=False,
    )
    gc.collect()
    gc.freeze()  # what was imported lives as long as the process; looking through it again would only delay answers
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(server.serve())
    log.info("look-ups are served", address=f"http://{settings.listen_host}:{settings.lookup_port}")
    await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    await asyncio.wait_for(serving, settings.shutdown_s)


def _claim(host: str, port: int) -> None:
    """Granian shares a port with whoever else allows it, so a second server would take half of the first's requests."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(1)
        except OSError as error:
            raise CosmoError(
                f"Cannot listen on {host}:{port}: {error.strerror}.",
                advice="Stop the process that has it, or set COSMO_LOOKUP_PORT to another.",
            ) from error
