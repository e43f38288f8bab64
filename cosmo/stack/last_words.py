"""The one line of a log that a person should read when its process has died."""

from __future__ import annotations

import re

_FRAME = re.compile(r"^\s*(at |\.\.\. \d+ more|File \"|~+\^|\^+\s*$)")
"""Lines of Java and Python stack traces, which say where and not why."""
_TROUBLE = re.compile(
    r"\b(ERROR|FATAL|error:|Error:|Caused by|[A-Za-z]*Exception\b|[A-Z][A-Za-z]*Error: |No space left on device)"
)
_MAX_CHARS = 300


def last_words(text: str) -> str:
    """The last line that names a trouble, else the last line, shortened to 300 characters; "" for an empty log."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _FRAME.match(line)]
    troubles = [line for line in lines if _TROUBLE.search(line)]
    best = (troubles or lines or [""])[-1]
    return best if len(best) <= _MAX_CHARS else f"{best[:_MAX_CHARS]}…"
