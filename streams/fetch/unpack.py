"""Unpacks compressed batches into no more memory than is meant for them.

A few kilobytes of zstd can unfold to gigabytes. Brokers let them pass, as they count a batch's compressed bytes and
unfold it piece by piece. Unpacked whole, it would have the kernel kill the worker, and again after every restart.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import cramjam
import numpy as np

MOST_BYTES = 256 * 1024 * 1024
"""Of what is unpacked at once. A topic's largest batch has 16 MB, compressed as it came; a producer that counts before
it compresses stays below that unpacked, and events shrink to a tenth at best. A worker has twice this for a moment."""

LIKELY_RATIO = 16
"""Room for so many times the packed bytes is tried first: events shrink to a quarter or a tenth, and asking the system
for all of `MOST_BYTES` takes longer than to unpack a fetch of a few records."""

_XERIAL_MAGIC, _XERIAL_HEAD_BYTES = b"\x82SNAPPY\x00", 16
_BLOCK_SIZE = struct.Struct(">i")
_NO_ROOM = ("failed to write whole buffer", "output buffer")
"""What cramjam says when the output is full; it has one error for everything."""


class UnpackError(ValueError):
    """What was to be unpacked is damaged, or compressed in a way that is not known. The message wants a subject."""


class OverfullError(UnpackError):
    """It unpacks to more than is allowed."""


def unpack(packed: Sequence[tuple[int, bytes]], most_bytes: int) -> bytes:
    """The parts (Kafka's number of the codec, bytes) unpacked, one behind the other, and a zero byte.

    Raises UnpackError: OverfullError as soon as they would take more than ``most_bytes``. That much is set aside at
    most; of it, memory is taken only by what is written to.
    """
    likely_bytes = min(most_bytes, LIKELY_RATIO * sum(len(data) for _, data in packed))
    try:
        return _within(packed, likely_bytes)
    except OverfullError:
        if likely_bytes == most_bytes:
            raise
    return _within(packed, most_bytes)


def _within(packed: Sequence[tuple[int, bytes]], most_bytes: int) -> bytes:
    room = np.empty(most_bytes + 1, np.uint8).data  # bytearray(…) would write to all of it
    at = 0
    for codec, data in packed:
        try:
            at += _into(codec, data, room[at:-1])
        except (cramjam.DecompressionError, ValueError) as error:
            if any(said in str(error) for said in _NO_ROOM):
                raise OverfullError(f"unpacks to more than {most_bytes / 1024**2:g} MiB") from error
            raise UnpackError(f"does not unpack: {error}") from error
    room[at] = 0
    return bytes(room[: at + 1])


def _into(codec: int, data: bytes, room: memoryview) -> int:
    if codec not in _INTO:
        raise ValueError(f"compression codec {codec} is not known")
    return _INTO[codec](data, room)


def _plain(data: bytes, room: memoryview) -> int:
    if len(data) > len(room):
        raise ValueError(_NO_ROOM[0])
    room[: len(data)] = data
    return len(data)


def _snappy(data: bytes, room: memoryview) -> int:
    """One block, or several as Java's clients write them, each behind its size."""
    if not data.startswith(_XERIAL_MAGIC):
        return int(cramjam.snappy.decompress_raw_into(data, room))
    at, written = _XERIAL_HEAD_BYTES, 0
    while at < len(data):
        if len(data) - at < _BLOCK_SIZE.size:
            raise ValueError("it is cut off")
        begin = at + _BLOCK_SIZE.size
        at = begin + _BLOCK_SIZE.unpack_from(data, at)[0]
        if not begin <= at <= len(data):
            raise ValueError("a block of it ends elsewhere")
        written += int(cramjam.snappy.decompress_raw_into(data[begin:at], room[written:]))
    return written


_INTO: dict[int, Callable[[bytes, memoryview], int]] = {
    0: _plain,
    1: cramjam.gzip.decompress_into,
    2: _snappy,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
