"""What may be asked for: a key that a reader can see."""

from __future__ import annotations


def is_blank(key: str) -> bool:
    """Whether nothing of the key can be seen: white space, control characters, zero-width characters. Nothing is ever
    stored under such a key, so "nothing known" would hide a mistake of whoever asks."""
    return not any(character.isprintable() and not character.isspace() for character in key)
