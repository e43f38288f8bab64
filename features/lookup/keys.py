"""What may be asked for: a key of which ingest leaves something."""

from __future__ import annotations

from schemas.text import clean


def is_blank(key: str) -> bool:
    """Whether the key is nothing but white space, control characters and zero-width characters. Nothing is ever stored
    under such a key, so "nothing known" would hide a mistake of whoever asks."""
    return not clean(key)
