"""Is this process doing its work? Judged by progress, not by an open port: a stuck consumer keeps its port open.

``/healthz`` answers 200 while every part of the process moves or has nothing to do, and 503 with the reason otherwise;
``/metrics`` answers in Prometheus' text format. The server is a thread of its own, so it also answers, and with 503,
when the event loop is stuck.
"""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from cosmo.runtime.errors import CosmoError
from cosmo.runtime.metrics import REGISTRY, gauge
from cosmo.runtime.waiting import WAITING, Waiting

STALLED_AFTER_S = 60.0
"""Longer than any rebalance and than one batch to a busy model; shorter than anybody's patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``reason`` is a sentence for people; ``age_s`` belongs to the part that has waited longest, or to what it waits
    for."""

    healthy: bool
    reason: str
    age_s: float


@dataclass(slots=True)
class Progress:
    """When each part of a process last moved. Parts are named by the caller, for example ``pair-counts[3]``.

    Call ``advance`` when work moved *or when there is nothing to do*: then an idle process stays healthy, and one with
    work that does not move is called stalled after ``stalled_after_s``. Safe to use from several threads.
    """

    clock: Callable[[], float] = time.monotonic
    stalled_after_s: float = STALLED_AFTER_S
    waiting: Waiting = field(default_factory=lambda: WAITING)
    """What the process waits for. It is in every reason, and a wait longer than ``stalled_after_s`` is unhealthy by
    itself, because not every wait keeps a part from moving."""
    _moved_at: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._moved_at["start"] = self.clock()

    def advance(self, part: str = "work") -> None:
        """This part moved, or has nothing to do. The first call of all ends the start."""
        with self._lock:
            self._moved_at.pop("start", None)
            self._moved_at[part] = self.clock()

    def forget(self, part: str) -> None:
        """This part is no longer ours (its partition was revoked): its silence means nothing."""
        with self._lock:
            self._moved_at.pop(part, None)

    def judge(self) -> Verdict:
        """The verdict now, on the part that has waited longest; a process that owns nothing is healthy."""
        with self._lock:
            now = self.clock()
            part, since = min(self._moved_at.items(), key=lambda item: item[1], default=("nothing", now))
        age_s = now - since
        if age_s <= self.stalled_after_s:
            said = f"{part} moved or was idle {age_s:.0f} s ago"
        else:
            limit = f"(limit {self.stalled_after_s:.0f} s)"
            said = f"{part} has not moved for {age_s:.0f} s although it had work {limit}"
        waits = self.waiting.now()
        oldest_s = max([age_s, *(wait.age_s for wait in waits)])
        reason = "; ".join([said, *map(str, waits)])
        return Verdict(healthy=oldest_s <= self.stalled_after_s, reason=reason, age_s=oldest_s)


_notes: dict[str, str] = {}


def note(about: str, sentence: str) -> None:
    """Say in /healthz what a person should see to and no restart mends. An empty sentence takes it back."""
    if sentence:
        _notes[about] = sentence
    else:
        _notes.pop(about, None)


def notes() -> list[str]:
    """What was noted and not taken back."""
    return list(_notes.values())


@contextmanager
def serve(
    port: int, progress: Progress, registry: CollectorRegistry = REGISTRY, *, host: str = "127.0.0.1"
) -> Iterator[str]:
    """Serve ``/metrics`` and ``/healthz`` until the context ends; yields the server's address, ``http://host:port``.

    Port 0 takes a free one. Raises CosmoError when the port is in use or the host is not ours.
    """
    gauge("cosmo_progress_age_seconds").set_function(lambda: progress.judge().age_s)
    server = _bind(host, port, partial(_Handler, progress, registry))
    thread = threading.Thread(target=server.serve_forever, name="health", kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a scraper that keeps its connection open must not hold up the worker's stop


def _bind(host: str, port: int, handler: Callable[..., BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return _Server((host, port), handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise CosmoError(
                f"Cannot listen on {host}:{port}: {error.strerror}.", advice="Give another host or port."
            ) from error
        raise CosmoError(
            f"Port {port} on {host} is in use.",
            advice="Stop the process that has it, or set COSMO_WORKER_PORT to another. That is the port of one "
            "worker: workers that are started one by one cannot share what is exported.",
        ) from error


class _Handler(BaseHTTPRequestHandler):
    """Two pages and nothing else; a request is never logged, because probes come every few seconds."""

    timeout = 10.0

    def __init__(self, progress: Progress, registry: CollectorRegistry, *args: object) -> None:
        self._progress = progress
        self._registry = registry
        super().__init__(*args)  # type: ignore[arg-type]  # http.server passes request, address and server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(self._registry))
        elif path == "/healthz":
            self._healthz()
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"Try /metrics or /healthz.\n")

    def _healthz(self) -> None:
        verdict = self._progress.judge()
        status = HTTPStatus.OK if verdict.healthy else HTTPStatus.SERVICE_UNAVAILABLE
        page = {"healthy": verdict.healthy, "reason": verdict.reason, "age_s": round(verdict.age_s, 3)}
        page |= {"notes": notes()}
        self._answer(status, "application/json", json.dumps(page).encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
        pass
