"""What a model server is to us: a list of texts in, an answer for each of them out, or one error for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from inference.asked import Answer, SamplingParams


class LmClient(Protocol):
    """A connection to one model server. Safe to use from several tasks at once.

    Every implementation passes `tests/inference/client_contract.py`.
    """

    async def complete(self, texts: Sequence[str], params: SamplingParams, *, timeout_s: float) -> Sequence[Answer]:
        """As many answers as texts, in their order, each with ``params.n`` candidates.

        One attempt: nothing is repeated here. Raises an `InferenceError`, whose class says what may be done about it.
        """
        ...

    async def close(self) -> None:
        """Let the connections go. Idempotent."""
