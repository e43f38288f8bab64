"""The file of refusals: one JSON object for each line that was not sent, with the line itself.

``jq -r .original`` of it gives the lines back, to be mended and sent again.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from cosmo.produce.lines import STDIN
from cosmo.produce.outcomes import Refusal
from cosmo.runtime.errors import CosmoError


def default_path(source: str) -> Path:
    """Beside the input: ``events.ndjson.refused.ndjson``; ``stdin.refused.ndjson`` for standard input."""
    return Path("stdin.refused.ndjson" if source == STDIN else f"{source}.refused.ndjson")


class RefusedFiles:
    """Writes each refusal to ``path``, or without one to the default file of its source.

    A file comes to be with its first refusal, and replaces what an earlier run left there. Every refusal is written
    through at once, so that a run that is killed leaves whole lines. Raises CosmoError when a file cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._open: dict[Path, TextIO] = {}

    @property
    def paths(self) -> list[Path]:
        """The files that have refusals in them."""
        return sorted(self._open)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._open.values():
            stream.close()

    def __call__(self, refusal: Refusal) -> None:
        path = self._path or default_path(refusal.line.source)
        try:
            if path not in self._open:
                self._open[path] = path.open("w", encoding="utf-8", buffering=1)
            self._open[path].write(json.dumps(document(refusal), ensure_ascii=False) + "\n")
        except OSError as error:
            raise CosmoError(
                f"Refusals cannot be written to {path}: {error.strerror}.", advice="Name another file with --refused."
            ) from error


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
