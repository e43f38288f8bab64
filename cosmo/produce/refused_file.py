"""The file of refusals: one JSON object for each line that was not sent, with the line itself.

``jq -r .original`` of it gives the lines back, to be mended and sent again.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from cosmo.produce.lines import STDIN
from cosmo.produce.outcomes import Refusal
from cosmo.runtime.errors import CosmoError


def default_path(source: str) -> Path:
    """Beside the input: ``events.ndjson.refused.ndjson``; in the working directory for standard input
    (``stdin.refused.ndjson``) and for a pipe that the shell names (``/dev/fd/63``)."""
    if source == STDIN:
        return Path("stdin.refused.ndjson")
    path = Path(f"{source}.refused.ndjson")
    return Path(path.name) if _is_pipe(source) else path


def _is_pipe(source: str) -> bool:
    return source == STDIN or source.startswith(("/dev/", "/proc/"))


@dataclass(slots=True)
class _Open:
    """A file and how many bytes of it are whole lines."""

    path: Path
    stream: FileIO
    whole: int = 0

    def add(self, line: bytes) -> None:
        """Write all of the line or, on a disk that fills up, nothing of it. Raises OSError."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self.stream.write(rest) :]
        except OSError:
            with suppress(OSError):  # a pipe has no length
                os.ftruncate(self.stream.fileno(), self.whole)
                self.stream.seek(self.whole)
            raise
        self.whole += len(line)


class RefusedFiles:
    """Writes each refusal to ``path``, or without one to the default file of its source.

    A file comes to be with its first refusal, and replaces what an earlier run left there; whoever still reads that
    reads it to its end. What another run is still writing is never touched: this one's file is numbered then. Every
    refusal is written through at once and whole, so that a run that is killed, or whose disk is full, leaves whole
    lines. Raises CosmoError when a file cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._open: dict[Path, _Open] = {}
        self._began_s = time.time()

    @property
    def paths(self) -> list[Path]:
        """The files that have refusals in them."""
        return sorted(one.path for one in self._open.values() if one.whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._open.values():
            with suppress(OSError):  # nothing is buffered, so nothing is lost
                one.stream.close()

    def __call__(self, refusal: Refusal) -> None:
        path = self._path or default_path(refusal.line.source)
        # A file name that is no UTF-8 is held with half surrogates, which JSON has an escape for.
        text = json.dumps(document(refusal), ensure_ascii=False).encode("utf-8", "backslashreplace")
        try:
            if path not in self._open:
                self._open[path] = _anew(path)
            self._open[path].add(text + b"\n")
        except OSError as error:
            raise CosmoError(
                f"Refusals cannot be written to {path}: {error.strerror}.", advice="Name another file with --refused."
            ) from error

    def remove_settled(self, sources: Iterable[str]) -> None:
        """Remove what earlier runs refused of these inputs, all of which this run has read and refused nothing of. An
        input that gave no line settles nothing: it may have been emptied by whoever rotates it.

        Kept are files that another run is writing or has written since this one began, that hold anything else, or
        refusals of other inputs. What comes by a pipe is another input each time. A file that cannot be removed stays.
        """
        named = [source for source in sources if not _is_pipe(source)]
        for source in named:
            path = self._path or default_path(source)
            if path not in self._open:
                with suppress(OSError):
                    _remove(path, partial(self._same, own=source, named=named), older_than_s=self._began_s)

    def _same(self, other: str, *, own: str, named: Sequence[str]) -> bool:
        """Whether a refusal of ``other`` is of this run's inputs. Beside its input the file's name says so: a run in
        another directory called it by another path."""
        return other in named if self._path else Path(other).name == Path(own).name


def _anew(path: Path) -> _Open:
    """An empty file that is this run's alone: ``path``, or a numbered one beside it while another run writes there."""
    if path.exists() and not path.is_file():  # a pipe, a terminal
        return _Open(path, path.open("wb", buffering=0))
    stream = _taken(path.resolve())
    return _numbered(path) if stream is None else _Open(path, stream)


def _taken(path: Path) -> FileIO | None:
    """The file, empty and held by a lock that goes with this process, or None if another run holds it. One that is
    there is replaced, not emptied: `jq … x | cosmo produce … --refused x` reads it."""
    while True:
        stream = _opened(path, os.O_CREAT)
        if not _locked(stream):
            stream.close()
            return None
        if _is_at(path, stream):  # else another run has replaced it since it was opened
            if not os.fstat(stream.fileno()).st_size:
                return stream
            try:
                path.unlink()
            except OSError:  # only the file is ours, not its directory
                stream.truncate(0)
                return stream
        stream.close()


def _numbered(path: Path) -> _Open:
    """Beside ``path``, and in nobody's place: `events.refused-2.ndjson`."""
    for number in count(2):
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        with suppress(FileExistsError):
            stream = _opened(free, os.O_CREAT | os.O_EXCL)
            _locked(stream)
            return _Open(free, stream)
    raise AssertionError  # numbers do not end


def _opened(path: Path, flags: int) -> FileIO:
    return FileIO(os.open(path, os.O_WRONLY | flags, 0o666), "w")


def _locked(stream: BinaryIO) -> bool:
    """False if another run holds the file. Where the file system has no locks, nobody holds any."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_at(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _remove(path: Path, ours: Callable[[str], bool], *, older_than_s: float) -> None:
    """Remove the file if no run holds it, nobody has written it since that instant (seconds since 1970), and it holds
    refusals of our inputs and nothing else. Raises OSError."""
    if not path.is_file():
        return
    with path.open("rb") as stream:
        if not _locked(stream) or not _is_at(path, stream):
            return
        if os.fstat(stream.fileno()).st_mtime < older_than_s and _holds_only(stream, ours):
            path.unlink()


def _holds_only(lines: Iterable[bytes], ours: Callable[[str], bool]) -> bool:
    holds = False
    try:
        for line in lines:
            found = json.loads(line)
            holds = "reason" in found and ours(found["source"])
            if not holds:
                break
    except (ValueError, TypeError, KeyError, RecursionError):  # somebody else's
        return False
    return holds


def document(refusal: Refusal) -> dict[str, Any]:
    """A refusal as JSON. ``original`` is null where JSON cannot hold it: then ``original_base64`` does, and where the
    line was too long both are of its beginning only."""
    line = refusal.line
    found: dict[str, Any] = {
        "source": line.source,
        "line": line.number,
        "reason": str(refusal.reason),
        "detail": refusal.detail,
    }
    if len(line.raw) < line.size_bytes:
        found["cut_from_bytes"] = line.size_bytes
    try:
        return found | {"original": line.raw.decode("utf-8")}
    except UnicodeDecodeError:
        return found | {"original": None, "original_base64": base64.b64encode(line.raw).decode()}
