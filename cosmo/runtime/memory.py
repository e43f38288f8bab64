"""Has this process give memory back soon after its peaks. Left to their defaults, the allocators of polars (jemalloc),
Arrow (mimalloc) and numpy and the interpreter (glibc) keep more than twice what a worker's tables take.
`python -m bench.memory` measures it."""

from __future__ import annotations

import ctypes
import os
import sys

JEMALLOC = "background_thread:true,dirty_decay_ms:100,muzzy_decay_ms:0,narenas:1"
"""Pages that polars freed go back after a tenth of a second, also while nothing happens; at once would cost twice the
CPU time. Threads share an arena, since each arena keeps its own peak."""
ARROW_POOL = "system"
"""Arrow's blocks are large and short-lived; mimalloc keeps nearly 200 MB of them, the system unmaps them."""
ARENAS = 2
"""Of glibc. The default is eight for each core, each of which keeps the most that its threads ever used."""
MMAP_BYTES = 256 * 1024
"""Allocations from here on are mapped by themselves and unmapped when freed. Unset, glibc moves this up to 32 MB with
the sizes it sees, and numpy's arrays leave holes in the arenas."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8


def give_back(*, unmap: bool = True) -> None:
    """Must come before polars and pyarrow are imported and before threads are started; what the environment says goes
    first. Does nothing where the allocators are others. Without ``unmap``, glibc decides what it keeps: for a process
    that takes blocks of the same sizes again and again, as each new mapping must be zeroed first."""
    if sys.platform != "linux":
        return
    os.environ.setdefault("_RJEM_MALLOC_CONF", JEMALLOC)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", ARROW_POOL)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        if "MALLOC_ARENA_MAX" not in os.environ:
            mallopt(_M_ARENA_MAX, ARENAS)
        if unmap and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
            mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)
