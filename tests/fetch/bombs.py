"""Batches that unfold to far more than they weigh. Run as a module, unpacks one and says what that took of memory.

python -m tests.fetch.bombs zstd     # prints the error, and by how many bytes the process's peak grew
"""

from __future__ import annotations

import gzip
import resource
import struct
import sys
from collections.abc import Callable

import cramjam

from streams.fetch.unpack import MOST_BYTES, OverfullError, unpack
from tests.fetch.batch_examples import CODECS

FRAME_BYTES = 16 * 1024 * 1024
FRAMES = 72  # 1.125 GiB
XERIAL_HEAD = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)


def bomb(kind: str) -> tuple[int, bytes]:
    """(number of the codec, bytes) of zeros that unpack to `FRAMES` times `FRAME_BYTES`, or claim to."""
    return CODECS[kind.partition("-")[0]], _BOMBS[kind]()


def _xerial() -> bytes:
    block = bytes(cramjam.snappy.compress_raw(_ZEROS))
    return XERIAL_HEAD + (struct.pack(">i", len(block)) + block) * FRAMES


def _claim() -> bytes:
    """Snappy begins with the size that it unpacks to: here 2 GB less a byte, and nothing behind it."""
    return b"\xff\xff\xff\xff\x07" + b"\x00a"


def _one_frame() -> bytes:
    packer = cramjam.zstd.Compressor()
    for _ in range(FRAMES):
        packer.compress(_ZEROS)
    return bytes(packer.finish())


_ZEROS = bytes(FRAME_BYTES)
_BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(_ZEROS) * FRAMES,
    "snappy": _xerial,
    "snappy-claim": _claim,
    "lz4": lambda: bytes(cramjam.lz4.compress(_ZEROS)) * FRAMES,
    "zstd": _one_frame,
    "zstd-frames": lambda: bytes(cramjam.zstd.compress(_ZEROS)) * FRAMES,
}
KINDS = tuple(_BOMBS)


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def main(kind: str) -> None:
    """Unpack one and print."""
    built = bomb(kind)
    before = _peak_bytes()
    try:
        unpack([built], MOST_BYTES)
    except OverfullError as error:
        print(error)
    print(_peak_bytes() - before)


if __name__ == "__main__":
    main(sys.argv[1])
