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


THRESHOLD = """
import ctypes, sys
from cosmo.workers import one
one.limit(sys.argv[1])
libc = ctypes.CDLL(None)
fields = [(f"f{i}", ctypes.c_size_t) for i in range(10)]  # the fourth counts mapped blocks
libc.mallinfo2.restype = type("Info", (ctypes.Structure,), {"_fields_": fields})
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.free(libc.malloc(1 << 20))
before = libc.mallinfo2().f3
libc.malloc(1 << 20)
print(libc.mallinfo2().f3 - before)
"""


@pytest.mark.parametrize(("process", "mapped"), [("ingest", "0"), ("sample", "1")])
def test_ingest_keeps_the_blocks_that_it_takes_for_every_fetch(process: str, mapped: str) -> None:
    program = [sys.executable, "-c", THRESHOLD, process]
    assert subprocess.check_output(program, env={"PATH": ""}, text=True, timeout=60).strip() == mapped
