"""Look-ups beside Feast's own: the same rows, on the same Redis, in one run.

    python -m bench.lookup [--reads 300] [--repeats 3]

In a process: our reader and the Feast SDK. Over HTTP: our API and Feast's feature server, asked in turn over one
connection each by the standard library's client. Every row holds eight intents; every candidate gives the features of
``navigation_v1`` or more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from bench.harness import Goal, Section, emit, finish, stack
from cosmo.runtime.settings import Settings
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports
from features import store as feast_store
from features.lookup.reader import build
from features.materialize.handler import merge_rule
from features.merge import Change
from features.online.redis_store import connect
from features.online.store import Ref
from features.online.writer import Writer
from features.views import QUERY_INTENTS
from schemas.records import HeadKind, Intent, Product

ROWS, INTENTS, BATCH = 2_000, 8, 100
SERVICE = "navigation_v1"
Ask = Callable[[Sequence[str]], object]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that answers."""

    name: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of one read."""

    p50_ms: float
    p99_ms: float


def main() -> None:
    """Measure, print JSON lines, and end with the section."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--reads", type=int, default=300)
    arguments.add_argument("--repeats", type=int, default=3)
    chosen = arguments.parse_args()
    with stack(Name.KAFKA, Name.REGISTRY, Name.VALKEY) as (_, settings), asyncio.Runner() as loop:
        repository = loop.run(feast_store.apply(settings)).directory
        loop.run(fill(settings))
        with candidates(settings, repository, loop) as found:
            finish(section({rows: measured(found, rows, chosen.reads, chosen.repeats) for rows in (1, BATCH)}))


async def fill(settings: Settings) -> None:
    """Write the rows through our writer."""
    store = connect(settings)
    changes = {
        Ref(QUERY_INTENTS, query(number)): [Change(intent=intent(number, which)) for which in range(INTENTS)]
        for number in range(ROWS)
    }
    await Writer(store, merge_rule(settings)).apply(changes)
    await store.close()


def query(number: int) -> str:
    """One of the queries."""
    return f"camping tent for {number} people"


def intent(number: int, which: int) -> Intent:
    """One of its eight intents."""
    now = datetime.now(UTC)
    return Intent(
        intent_id=f"{number:016x}{which:016x}",
        pair_id=f"{which:016x}{number:016x}",
        head_kind=HeadKind.QUERY,
        head=query(number),
        query=query(number),
        products=(Product(product_id=f"B{number}", title="Dome tent with two rooms", product_type="tent"),),
        relation="used_for_eve",
        tail=f"a weekend in the hills {which}",
        tail_key=f"weekend in hills {which}",
        plausibility=0.8,
        typicality=0.6,
        support=which + 1,
        event_time=now,
        generated_time=now,
        template_id="search_buy.used_for_eve.1",
        model_id="model",
        specificity=0.5,
        product_types=("tent", "sleeping bag"),
        scores={"mean_logprob": -1.2},
    )


@contextmanager
def candidates(settings: Settings, repository: Path, loop: asyncio.Runner) -> Iterator[list[Candidate]]:
    """Everybody who answers, running."""
    ports = Ports.free(brokers=1)
    reader = build(settings)
    # Not Runner.run: it installs a signal handler for each call, whose enum puts our answer's whole text into an error.
    wait_for = loop.get_loop().run_until_complete
    gc.collect()
    gc.freeze()  # as our server does it: Feast's modules would be looked through again while either of them is asked
    env = {
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "COSMO_LOOKUP_PORT": str(ports.lm),
        "COSMO_TOPIC_PREFIX": settings.topic_prefix,
    }
    ours = [sys.executable, "-m", "cosmo", "lookup", "serve"]
    feast = [
        str(Path(sys.executable).parent / "feast"),
        "-c",
        str(repository),
        "serve",
        "-p",
        str(ports.redis),
        "--max-requests",
        "0",
    ]
    with (
        feast_store.opened(settings) as sdk,
        serving(ours, ports.lm, "/healthz", env) as our_server,
        serving(feast, ports.redis, "/health", {}) as feast_server,
    ):
        service = sdk.get_feature_service(SERVICE)
        yield [
            Candidate("our reader", lambda keys: wait_for(reader.batch(keys, [], []))),
            Candidate(
                "Feast SDK",
                lambda keys: sdk.get_online_features(service, [{"query": key} for key in keys]).to_dict(),
            ),
            Candidate("our API", lambda keys: ask_us(our_server, keys)),
            Candidate("Feast feature server", lambda keys: ask_feast(feast_server, keys)),
        ]
    loop.run(reader.close())


def ask_us(server: http.client.HTTPConnection, keys: Sequence[str]) -> object:
    """One key by its path, several as a batch."""
    if len(keys) == 1:
        return answer(server, "GET", f"/v1/queries/{quote(keys[0], safe='')}/intents", None)
    return answer(server, "POST", "/v1/lookup", {"queries": list(keys)})


def ask_feast(server: http.client.HTTPConnection, keys: Sequence[str]) -> object:
    """Feast has one way for both."""
    asked = {"feature_service": SERVICE, "entities": {"query": list(keys)}}
    return answer(server, "POST", "/get-online-features", asked)


def answer(server: http.client.HTTPConnection, method: str, path: str, body: object) -> object:
    """The decoded answer; anything but 200 is an error."""
    data = None if body is None else json.dumps(body)
    server.request(method, path, data, {"Content-Type": "application/json"})
    response = server.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"{path}: {response.status} {content[:200]!r}")
    return json.loads(content)


@contextmanager
def serving(command: Sequence[str], port: int, probe: str, env: dict[str, str]) -> Iterator[http.client.HTTPConnection]:
    """A server as a process group of its own, and a connection to it once it answers."""
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command, env=os.environ | env, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30.0)
        for _ in range(600):
            with suppress(OSError, http.client.HTTPException):
                connection.request("GET", probe)
                if connection.getresponse().read() is not None:
                    break
            connection.close()
            time.sleep(0.1)
        yield connection
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def measured(found: Sequence[Candidate], rows: int, reads: int, repeats: int) -> dict[str, Figures]:
    """All candidates in turn, several times over; of each the repeat with the best median."""
    reads = max(20, reads // (1 if rows == 1 else 6))
    best: dict[str, Figures] = {}
    for repeat in range(repeats):
        for candidate in found if repeat % 2 == 0 else found[::-1]:
            figures = timed(candidate.ask, rows, reads)
            emit("run", {"name": candidate.name, "rows": rows, "repeat": repeat, "p50_ms": figures.p50_ms})
            known = best.get(candidate.name)
            best[candidate.name] = figures if known is None or figures.p50_ms < known.p50_ms else known
    return best


def timed(ask: Ask, rows: int, reads: int) -> Figures:
    """Each read asks for other rows."""
    times = []
    for read in range(reads + 5):
        keys = [query((read * rows + number) % ROWS) for number in range(rows)]
        began = time.perf_counter()
        ask(keys)
        times.append((time.perf_counter() - began) * 1_000)
    warm = sorted(times[5:])
    return Figures(p50_ms=statistics.median(warm), p99_ms=warm[int(len(warm) * 0.99)])


PEERS = {"Feast SDK": "our reader", "Feast feature server": "our API"}


def section(found: dict[int, dict[str, Figures]]) -> Section:
    """What was measured, as ratios of Feast's medians to ours."""
    return Section(
        title="Look-ups",
        command="python -m bench.lookup",
        text=(
            f"Rows of `query_intents` with {INTENTS} intents each, read one and {BATCH} at a time, one read after the "
            "other, by processes that share the machine with the store. Ours gives twelve features, status and age, "
            f"the others the seven of `{SERVICE}`. The ratio is theirs to ours, in a process or over HTTP."
        ),
        columns=("reader", "rows", "p50 ms", "p99 ms", "ratio"),
        rows=[
            [name, str(rows), f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", _ratio(best, name)]
            for rows, best in found.items()
            for name, one in best.items()
        ],
        goals=_goals(found),
    )


def _ratio(best: dict[str, Figures], name: str) -> str:
    return f"{best[name].p50_ms / best[PEERS.get(name, name)].p50_ms:.1f}"


def _goals(found: dict[int, dict[str, Figures]]) -> list[Goal]:
    server, api = "Feast feature server", "our API"
    return [
        Goal(
            goal=f"no slower than Feast's server, {rows} row{'s' * (rows > 1)}",
            measured=f"{best[server].p50_ms / best[api].p50_ms:.1f}×",
            holds=best[api].p50_ms <= best[server].p50_ms,
        )
        for rows, best in found.items()
    ]


if __name__ == "__main__":
    main()
