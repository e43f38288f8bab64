"""One worker process, from the settings to its exit."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from importlib import import_module

from cosmo.runtime import health, logs, memory, metrics
from cosmo.runtime.errors import CosmoError
from cosmo.runtime.last_resort import LastResort
from cosmo.runtime.settings import Settings
from schemas.patient import PatientRegistry
from schemas.registry import Registry
from streams.fetch.handler import Handler
from streams.fetch.watch import Watch
from streams.kafka.clients import log_reader
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import ConfirmingProducer
from streams.worker import Worker

log = logs.get(__name__)

DEFECT = "ended by a defect"
"""In the log, with its traceback: nobody can run that moment again with --debug."""

BUILDERS = {
    "ingest": "streams.ingest.handler",
    "sample": "streams.sampling.handler",
    "infer": "inference.handler",
    "materialize": "features.materialize.handler",
}
"""The module whose `build(settings, producer, dead_letters, registry)` makes each process's handler. Imported by name,
so that ingest does not pay for Feast's import nor materialize for the model client's."""

PORTS = {"ingest": 9101, "sample": 9102, "infer": 9103, "materialize": 9104}
"""Where each worker serves /metrics and /healthz unless COSMO_WORKER_PORT says otherwise."""


POLARS_THREADS = {"ingest": 1, "sample": 1}
"""Where polars' own threads would only get into the others' way: ingest unpacks fetches beside what it computes, sample
computes on two partitions at a time. It takes a sixth less CPU time so, and 150 MB less at its peak."""

KEEP_BLOCKS = frozenset({"ingest"})
"""Where memory is taken for each fetch in the same sizes and freed right after it. To unmap it in between makes ingest
a quarter slower (`python -m bench.ingest`), for 20 MB less at its peak."""

SAMPLE_FETCH_BYTES = 1024 * 1024
"""Most of one partition's fetch for the sampler, compressed. Blocks unfold to several times that, and what is computed
from them to several times more; a larger fetch is not faster."""


def run(process: str, settings: Settings, last_resort: LastResort) -> None:
    """Run until SIGTERM or SIGINT; raises what broke it. ``last_resort`` is told when the stop begins, and when nothing
    is left to do: what this waits for from then on is threads."""
    limit(process)
    try:
        asyncio.run(_run(process, settings, last_resort))
    except CosmoError:
        raise
    except Exception:
        log.exception(DEFECT)
        raise


def limit(process: str) -> None:
    """Memory and threads. Must come before polars is imported, which reads both once; what the environment says goes
    first."""
    memory.give_back(unmap=process not in KEEP_BLOCKS)
    if process in POLARS_THREADS:
        os.environ.setdefault("POLARS_MAX_THREADS", str(POLARS_THREADS[process]))


async def _run(process: str, settings: Settings, last_resort: LastResort) -> None:
    settings = _for(process, settings)
    build: Callable[..., Handler] = import_module(BUILDERS[process]).build
    progress = health.Progress(stalled_after_s=_stalled_after_s(process, settings))
    stopping = threading.Event()
    registry = PatientRegistry(Registry(settings), stopping)

    def stop() -> None:
        stopping.set()
        last_resort.arm()

    metrics.tell_build(process)
    with health.serve(settings.worker_port or PORTS[process], progress, host=settings.listen_host) as address:
        log.info("metrics and health are served", address=address)
        async with ConfirmingProducer(settings) as producer:
            dead_letters = DeadLetters(producer, limit=settings.dead_letter_ratio)
            handler = build(settings, producer, dead_letters, registry)
            watch = Watch(process, progress, log_reader(settings))
            await Worker(process, settings, handler, watch, stop).run()
    last_resort.settled()


def _for(process: str, settings: Settings) -> Settings:
    """A model takes seconds for what others do in milliseconds: its fetches are small, or the first pair of one would
    wait for the last before it is committed."""
    if process == "infer":
        return settings.model_copy(update={"fetch_records": min(settings.fetch_records, settings.infer_fetch_records)})
    if process == "sample":
        return settings.model_copy(update={"fetch_bytes": min(settings.fetch_bytes, SAMPLE_FETCH_BYTES)})
    return settings


def _stalled_after_s(process: str, settings: Settings) -> float:
    """A partition whose turn comes after others' waits for several batches, each of which may take its deadline."""
    return 5 * settings.lm_timeout_s if process == "infer" else health.STALLED_AFTER_S
