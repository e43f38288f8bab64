"""Unpacking gives what was packed, and never takes more memory than is meant for it."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence

import aiokafka.codec as codecs
import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.fetch.unpack import MOST_BYTES, OverfullError, UnpackError
from streams.fetch.unpack import unpack as unpack_within
from tests.fetch.batch_examples import CODECS
from tests.fetch.bombs import KINDS, XERIAL_HEAD

Pack = Callable[[bytes], bytes]


def unsized_zstd(data: bytes) -> bytes:
    """A frame that does not say what it unpacks to, as Java's clients write it."""
    packer = cramjam.zstd.Compressor()
    packer.compress(data)
    return bytes(packer.finish())


def unpack(packed: Sequence[tuple[int, bytes]], most_bytes: int = 10_000) -> bytes:
    return unpack_within(packed, most_bytes)


PACKERS: list[tuple[str, Pack]] = [
    ("none", bytes),
    ("gzip", codecs.gzip_encode),
    ("snappy", codecs.snappy_encode),
    ("snappy", lambda data: codecs.snappy_encode(data, xerial_blocksize=7)),
    ("snappy", lambda data: bytes(codecs.snappy_encode(data, xerial_compatible=False))),
    ("lz4", codecs.lz4_encode),
    ("lz4", lambda data: bytes(cramjam.lz4.compress(data))),
    ("zstd", codecs.zstd_encode),
    ("zstd", unsized_zstd),
]
FRAMED = [(codec, pack) for codec, pack in PACKERS if codec in {"gzip", "lz4", "zstd"}]

contents = st.binary(max_size=300) | st.builds(
    lambda part, times: part * times, st.binary(max_size=20), st.integers(0, 99)
)


@given(st.lists(st.tuples(st.sampled_from(PACKERS), contents), max_size=5))
def test_parts_of_any_codec_come_back_one_behind_the_other(parts: list[tuple[tuple[str, Pack], bytes]]) -> None:
    packed = [(CODECS[codec], pack(data)) for (codec, pack), data in parts]
    assert unpack(packed) == b"".join(data for _, data in parts) + b"\x00"


@given(st.sampled_from(FRAMED), st.lists(contents, min_size=2, max_size=4))
def test_several_frames_of_one_part_are_all_unpacked(packer: tuple[str, Pack], frames: list[bytes]) -> None:
    codec, pack = packer
    assert unpack([(CODECS[codec], b"".join(map(pack, frames)))]) == b"".join(frames) + b"\x00"


@given(st.sampled_from(PACKERS), contents, st.integers(0, 5))
def test_the_bound_itself_is_allowed_and_one_byte_more_is_not(
    packer: tuple[str, Pack], data: bytes, before: int
) -> None:
    codec, pack = packer
    packed = [(0, b"x" * before), (CODECS[codec], pack(data))]
    size = before + len(data)
    assert unpack(packed, size) == b"x" * before + data + b"\x00"
    if data:
        with pytest.raises(OverfullError):
            unpack(packed, size - 1)


@given(st.sampled_from(PACKERS), contents, st.data())
def test_what_is_cut_off_is_never_taken_for_whole(packer: tuple[str, Pack], data: bytes, drawn: st.DataObject) -> None:
    codec, pack = packer
    packed = pack(data)
    part = packed[: drawn.draw(st.integers(0, max(0, len(packed) - 1)))]
    with contextlib.suppress(UnpackError):
        found = unpack([(CODECS[codec], part)])
        assert codec in {"none", "snappy"}  # whose blocks do not say how many there are
        assert data.startswith(found[:-1])


@pytest.mark.parametrize("size", [-1, -4, 100, 2**31 - 1])
def test_a_block_that_ends_elsewhere_is_an_error(size: int) -> None:
    """A negative size would go round for ever."""
    with pytest.raises(UnpackError, match="ends elsewhere"):
        unpack([(CODECS["snappy"], XERIAL_HEAD + struct.pack(">i", size) + b"\x01\x00a")])


def test_a_codec_that_is_not_known_is_named() -> None:
    with pytest.raises(UnpackError, match="codec 5 is not known"):
        unpack([(5, b"")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_takes_no_more_memory_than_the_bound(kind: str) -> None:
    """More than a gigabyte, whole, would have the kernel kill the worker."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fetch.bombs", kind], capture_output=True, text=True, timeout=60, check=True
    )
    said, grown_bytes = done.stdout.splitlines()
    assert said == "unpacks to more than 256 MiB"
    assert int(grown_bytes) < MOST_BYTES + 32 * 1024 * 1024
