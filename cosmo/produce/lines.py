"""Lines of input, each with its place, read so that no line is too long for memory."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cosmo.runtime.errors import CosmoError

MAX_LINE_BYTES = 4 * 1024 * 1024
"""The longest event that keeps every rule, 200 items with every text at its limit and escaped, has about 1.6 MB."""

TWICE = "An event that was sent already counts once."
STDIN = "-"
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CUT_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. ``number`` counts from 1; ``size_bytes`` is more than ``raw`` has where it was cut."""

    source: str
    number: int
    raw: bytes
    size_bytes: int

    @property
    def too_long(self) -> bool:
        return self.size_bytes > MAX_LINE_BYTES

    def __str__(self) -> str:
        return f"{self.source}:{self.number}"


def numbered(lines: Iterable[bytes], source: str = "input") -> Iterator[Line]:
    """Lines that are at hand already, with or without their ends."""
    for number, line in enumerate(lines, start=1):
        raw = line.rstrip(b"\r\n")
        yield Line(source, number, raw, len(raw))


def read(path: str) -> Iterator[Line]:
    """The lines of a file, or of standard input for ``-``; gzip is known by its first bytes, whatever the name.

    Memory stays below ``MAX_LINE_BYTES``: of a longer line only the beginning is kept. A byte order mark at the
    beginning is no part of the first line. Raises CosmoError when the file cannot be read, or is damaged.
    """
    number = 0
    with _readable(path) as stream:
        try:
            for number, (raw, size) in enumerate(_bounded(stream), start=1):
                yield Line(path, number, raw, size)
        except EOFError as error:
            raise CosmoError(
                f"{path} is cut off after line {number}: its gzip has no end.",
                advice=f"Get the whole file and send all of it. {TWICE}",
            ) from error
        except (OSError, zlib.error) as error:
            raise CosmoError(
                f"{path} cannot be read after line {number}: {str(error).rstrip('.')}.",
                advice=f"Mend the file and send all of it. {TWICE}",
            ) from error


def _bounded(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """(line, its size); a line beyond the limit is read to its end but kept only in part."""
    if _peek(stream, 3) == _BYTE_ORDER_MARK:
        stream.read(3)
    while line := stream.readline(MAX_LINE_BYTES + 2):
        if line.endswith(b"\n"):
            raw = line[:-2] if line.endswith(b"\r\n") else line[:-1]
            yield raw, len(raw)
        elif len(line) <= MAX_LINE_BYTES:
            yield line, len(line)
        else:
            parts = [(len(part), part[-1:]) for part in (line, *_rest_of_line(stream)) if part]
            yield line[:_CUT_BYTES], sum(size for size, _ in parts) - (parts[-1][1] == b"\r")


def _rest_of_line(stream: BinaryIO) -> Iterator[bytes]:
    while part := stream.readline(MAX_LINE_BYTES):
        yield part.rstrip(b"\n")
        if part.endswith(b"\n"):
            return


@contextmanager
def _readable(path: str) -> Iterator[BinaryIO]:
    if path == STDIN:
        if sys.stdin is None:  # as Python has it when it was closed before we began
            raise CosmoError("Standard input is closed.", advice="Pipe lines into it, or name a file instead of -.")
        yield _unzipped(cast("BinaryIO", sys.stdin.buffer))
        return
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise CosmoError(f"{path} cannot be opened: {error.strerror}.") from error
    with stream:
        yield _unzipped(stream)


def _unzipped(stream: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=stream)) if _peek(stream, 2) == _GZIP else stream


def _peek(stream: BinaryIO, count: int) -> bytes:
    start: bytes = stream.peek(count)[:count]  # type: ignore[attr-defined]  # every stream here is a buffered reader
    return start
