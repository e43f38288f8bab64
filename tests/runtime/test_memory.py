"""A worker's allocators are told before anything reads what they are told."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the allocators are others elsewhere")

PROGRAM = """
import os
from cosmo.workers import one
one.limit("sample")
import pyarrow, polars
print(pyarrow.default_memory_pool().backend_name, polars.thread_pool_size(), os.environ["_RJEM_MALLOC_CONF"])
"""


def told(**env: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"PATH": ""} | env, capture_output=True, check=True, text=True, timeout=60
    ).stdout.split()


def test_a_worker_sets_its_allocators_and_threads_before_anything_reads_them() -> None:
    pool, threads, conf = told()
    assert (pool, threads) == ("system", "1")
    assert "dirty_decay_ms:100" in conf


def test_what_the_environment_says_goes_first() -> None:
    pool, threads, conf = told(
        ARROW_DEFAULT_MEMORY_POOL="jemalloc", POLARS_MAX_THREADS="2", _RJEM_MALLOC_CONF="narenas:3"
    )
    assert (pool, threads) == ("jemalloc", "2")
    assert "narenas:3" in conf
    assert "narenas:1" not in conf
