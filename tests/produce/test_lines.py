"""Lines keep their numbers and their bytes, whatever the file is."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmo.produce import lines as module
from cosmo.produce.lines import STDIN, read
from cosmo.runtime.errors import CosmoError


def raws(path: Path) -> list[bytes]:
    return [line.raw for line in read(str(path))]


KINDS = {
    "plain": b"a\nb\n",
    "without a last line feed": b"a\nb",
    "Windows": b"a\r\nb\r\n",
    "with a byte order mark": b"\xef\xbb\xbfa\nb\n",
    "gzip": gzip.compress(b"a\nb\n"),
    "gzip in two members": gzip.compress(b"a\n") + gzip.compress(b"b\n"),
    "gzip with a byte order mark": gzip.compress(b"\xef\xbb\xbfa\nb\n"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_its_lines(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_bytes(KINDS[kind])
    assert raws(path) == [b"a", b"b"]


@pytest.mark.parametrize("kind", KINDS)
def test_standard_input_is_a_file_like_any_other(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BufferedReader(io.BytesIO(KINDS[kind]))

    monkeypatch.setattr("sys.stdin", Stdin)
    assert [(line.source, line.number, line.raw) for line in read(STDIN)] == [("-", 1, b"a"), ("-", 2, b"b")]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert raws(tmp_path / "empty") == []


@given(parts=st.lists(st.binary(max_size=40).filter(lambda part: b"\n" not in part and not part.endswith(b"\r"))))
def test_a_file_gives_back_what_was_written_line_by_line(parts: list[bytes], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(b"{}\n" + b"".join(part + b"\n" for part in parts))
    found = list(read(str(path)))
    assert [line.raw for line in found] == [b"{}", *parts]
    assert [line.number for line in found] == list(range(1, len(parts) + 2))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("over", [-1, 0, 1, 2, 3, 1000])
def test_a_line_over_the_limit_is_measured_but_not_kept(
    over: int, end: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 2000)
    path = tmp_path / "file"
    path.write_bytes(b"x" * (2000 + over) + end + (b"next\n" if end else b""))
    first, *rest = read(str(path))
    assert first.too_long is (over > 0)
    assert first.size_bytes == 2000 + over
    assert len(first.raw) <= 2002
    assert [line.raw for line in rest] == ([b"next"] if end else [])


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CosmoError, match=r"cannot be opened: No such file"):
        next(read(str(tmp_path / "nothing")))


SAID = {"cut": "is cut off", "flipped": "cannot be read"}


@pytest.mark.parametrize("damage", SAID)
def test_a_damaged_archive_gives_what_can_be_read_and_then_says_so(damage: str, tmp_path: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(100_000))
    packed = bytearray(gzip.compress(content))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[-6] ^= 0xFF  # the checksum
    path = tmp_path / "file.gz"
    path.write_bytes(packed)
    numbers: list[int] = []
    with pytest.raises(CosmoError, match=rf"{SAID[damage]} after line \d+: [^.]*[^.]\. ") as told:
        numbers.extend(line.number for line in read(str(path)))
    assert told.value.advice.endswith("send all of it. An event that was sent already counts once.")
    assert numbers == list(range(1, len(numbers) + 1))
