"""llama.cpp as an OpenAI-compatible server on the loopback address: ``python -m cosmo.stack.model_server --help``.

It answers ``/v1/completions`` (lists of prompts, ``n``, ``logprobs``, ``stop``, ``seed``), ``/v1/models``, ``/health``
and ``/metrics``.
"""

from __future__ import annotations

import argparse
import os
import threading
from pathlib import Path
from typing import Any

from cosmo.stack.extras import extra

ALIAS = "smollm2-135m-instruct"
SLOTS = 8
"""Sequences decoded together."""
SLOT_TOKENS = 1024
"""Prompt and answer of one sequence; 23 KB of memory a token. The prompts have 300 to 600 tokens."""
CACHE_MIB = 256
"""Prompts kept beside those in the slots; the default would be 8 GB. One takes 4 MB and there are some 40 templates, so
each finds the beginning of its template computed: three quarters of all prompt tokens (docs/adr/0006)."""
SPARE_CORES = 1
"""llama.cpp's threads wait for each other by spinning. With as many threads as cores, and others at work, all wait for
the one that has no core: 16 prompts took 150 s and 37 CPU seconds on two busy cores, and 10 s with one thread."""
NICE = 5
"""The model would take every core it gets; brokers, workers and lookups must answer first."""


def parameters(*, model: Path, port: int, slots: int, threads: int) -> Any:
    """llama.cpp's parameters as one object."""
    params = extra("xllamacpp").CommonParams()
    params.model.path = str(model)
    params.model_alias = {ALIAS}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = slots * SLOT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_prompt = True  # a slot keeps its last prompt, so the constant part of the next costs nothing
    params.cache_ram_mib = CACHE_MIB
    params.endpoint_metrics = True
    params.ui = False
    return params


def main() -> None:
    """Serve until killed."""
    arguments = _arguments()
    os.nice(NICE)
    chosen = parameters(model=arguments.model, port=arguments.port, slots=arguments.slots, threads=arguments.threads)
    server = extra("xllamacpp").Server(chosen)
    print(f"serving {arguments.model.name} on {server.listening_address}", flush=True)
    threading.Event().wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=SLOTS, help="sequences decoded together")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1) - SPARE_CORES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
