"""Our micro-batches beside a plain load generator on the same model server, in turn, in one run.

    python -m bench.micro_batch [--prompts 96] [--repeats 3]

The generator does nothing but keep as many prompts at the server as we do: raw HTTP over asyncio, one prompt a request
or the same lists as ours, and it does not look at the answers. The second server is scripted: it answers a request in
50 ms, as a GPU might, and so shows what our own work costs when the model is not what one waits for.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from bench.harness import Run, Section, at_least, finish, paired, timed
from cosmo.runtime.deadline import Deadline
from cosmo.runtime.settings import Settings
from cosmo.stack.home import Home
from cosmo.stack.parts import Name
from cosmo.stack.ports import Ports
from cosmo.stack.stack import Stack
from inference import http_client
from inference.asker import Asker, AskRule
from inference.batcher import Lane
from inference.handler import sampling_params
from inference.pairs import prompts_of
from schemas.records import BehaviorPair, PairKind, Product, SampleReason

SEARCHES = ("diet soda", "toilet paper", "dog food", "hamburger", "ice cream", "shampoo", "bbq", "breakfast", "milk")
TITLES = ("Soft drinks, 12 pack cans", "Ground beef, 80% lean", "Shampoo, 12 oz", "Eggs, large", "Pasta sauce, jar")
GPU = {"lm_batch_prompts": 64, "lm_in_flight": 8}
GPU_DELAY_S = 0.05


@dataclass(slots=True)
class Prompts:
    """Prompts that no run has asked before, with the templates and the spread of real ones: a server that keeps whole
    prompts must not answer the second candidate from the first one's."""

    settings: Settings
    _numbers: Iterator[int] = field(default_factory=count)

    def next(self, wanted: int) -> list[str]:
        found: list[str] = []
        while len(found) < wanted:
            found += [prompt.text for prompt in prompts_of(_pair(next(self._numbers)), self.settings.infer_relations)]
        return found[:wanted]


@dataclass(frozen=True, slots=True)
class Bench:
    """One server, and the shape in which it is asked."""

    settings: Settings
    prompts: Prompts
    asked: int

    def ours(self) -> Run:
        """Questions in, answers out, everything checked. The client is made before the clock starts: its TLS context
        alone takes longer than a hundred answers."""
        texts, found = self._texts(), list[Run]()
        asyncio.run(self._ask(texts, found))
        return found[0]

    def singles(self) -> Run:
        """A generator with one prompt a request."""
        at_once = self.settings.lm_in_flight * self.settings.lm_batch_prompts
        return self._generate("load generator, single prompts", 1, at_once)

    def lists(self) -> Run:
        """A generator with lists as large as ours."""
        return self._generate(
            "load generator, the same lists", self.settings.lm_batch_prompts, self.settings.lm_in_flight
        )

    def candidates(self) -> Mapping[str, Callable[[], Run]]:
        return {"ours": self.ours, "singles": self.singles, "lists": self.lists}

    def _texts(self) -> list[str]:
        return self.prompts.next(self.asked)

    async def _ask(self, texts: Sequence[str], found: list[Run]) -> None:
        client = http_client.connect(self.settings)
        asker = Asker(client, sampling_params(self.settings), AskRule.of(self.settings))
        asker.start()
        with timed("our client", len(texts), found):
            answers = [await asker.ask(text, Lane.PAIRS) for text in texts]
            await asyncio.gather(*answers)
        await asker.stop(Deadline.after(5.0))

    def _generate(self, name: str, size: int, at_once: int) -> Run:
        texts, found = self._texts(), list[Run]()
        bodies = [self._body(texts[start : start + size]) for start in range(0, len(texts), size)]
        with timed(name, len(texts), found):
            asyncio.run(_generate(self.settings.lm_url, bodies, at_once))
        return found[0]

    def _body(self, texts: Sequence[str]) -> bytes:
        params = sampling_params(self.settings)
        asked = {"max_tokens": params.max_tokens, "temperature": 0, "stop": params.stop, "logprobs": 1}
        return orjson.dumps({"prompt": texts, "n": 1, "seed": params.seed, **asked})


def main() -> None:
    """Measure both servers and say by how much we are slower than doing nothing but asking."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with model_server() as settings:
        local = measure(settings, arguments.prompts, arguments.repeats)
    with scripted_server() as url:
        scripted = measure(Settings(lm_url=url).model_copy(update=GPU), 8192, arguments.repeats)
    finish(section(arguments.prompts, local, scripted))


def measure(settings: Settings, asked: int, repeats: int) -> Mapping[str, Run]:
    """The fastest run of each candidate, after one that warms the server up."""
    bench = Bench(settings, Prompts(settings), asked)
    bench.lists()
    return paired(bench.candidates(), repeats)


def section(asked: int, local: Mapping[str, Run], scripted: Mapping[str, Run]) -> Section:
    """What the page says."""
    rows = [
        [server, run.name, f"{run.per_s:,.1f}", f"{ratio(runs, run):.2f}", f"{1e6 * run.cpu_s / run.count:,.0f}"]
        for server, runs in (("llama.cpp", local), ("scripted, 50 ms", scripted))
        for run in runs.values()
    ]
    return Section(
        title="Micro-batches beside a load generator",
        command="python -m bench.micro_batch",
        text=f"{asked} prompts on llama.cpp with the demonstration's model, and 8,192 on a scripted server that takes "
        "50 ms for a request of 64. Every candidate keeps as many prompts at the server. The ratio is to the faster "
        "of the two generators, which look at no answer.",
        columns=["server", "client", "prompts/s", "ratio", "µs of client CPU per prompt"],
        rows=rows,
        goals=[at_least("≥ 0.9× a plain load generator on the same model server", ratio(local, local["ours"]), 0.9)],
    )


def ratio(runs: Mapping[str, Run], run: Run) -> float:
    """To the faster of the two generators."""
    return run.per_s / max(runs["singles"].per_s, runs["lists"].per_s)


@contextmanager
def model_server() -> Iterator[Settings]:
    """llama.cpp as `cosmo stack up` starts it, and nothing else."""
    own = Settings()
    with tempfile.TemporaryDirectory(prefix="cosmo-bench-") as directory:
        home = Home.at(Path(directory), cache=own.home / "cache")
        with Stack.running(own, home=home, ports=Ports.free(brokers=1), names=frozenset({Name.MODEL})) as running:
            yield running.connected()


@contextmanager
def scripted_server() -> Iterator[str]:
    """The tests' model server in a process of its own; it answers at once, after the given delay."""
    command = [sys.executable, "-m", "tests.support.scripted_model", "--delay-s", str(GPU_DELAY_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


async def _generate(url: str, bodies: Sequence[bytes], at_once: int) -> None:
    """Every body once, over ``at_once`` connections that are kept."""
    address, waiting = urlsplit(url), iter(bodies)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for body in waiting:
            head = f"POST /v1/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await _read_reply(reader)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(at_once)))


async def _read_reply(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if " 200 " not in head.partition("\r\n")[0]:
        raise RuntimeError(head)
    if "content-length: " in head:
        return await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):  # chunked
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


def _pair(number: int) -> BehaviorPair:
    """A search or, every third time, two products."""
    now, together = datetime.now(UTC), number % 3 == 2
    products = [
        Product(product_id=f"{number}-{n}", title=f"{TITLES[(number + n) % len(TITLES)]}, no. {number}") for n in (0, 1)
    ]
    return BehaviorPair(
        pair_id=f"bench-{number}",
        kind=PairKind.CO_BUY if together else PairKind.SEARCH_BUY,
        query=None if together else f"{SEARCHES[number % len(SEARCHES)]} {number}",
        products=tuple(products if together else products[:1]),
        event_time=now,
        sampled_time=now,
        support=3,
        reason=SampleReason.NEW,
        priority=1.0,
    )


if __name__ == "__main__":
    main()
