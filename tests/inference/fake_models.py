"""Model clients without a network, for the virtual clock. `EchoingModel` passes the clients' contract tests too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from inference.asked import Answer, Candidate, SamplingParams, Token
from inference.errors import InferenceError, ModelSlow
from tests.inference.examples import NOW
from tests.support.virtual_time import now_s


@dataclass(slots=True)
class EchoingModel:
    """Answers each text with itself, after ``seconds``; fails as ``fails`` tells, which is asked before each answer."""

    seconds: float = 1.0
    fails: Callable[[Sequence[str]], InferenceError | None] = lambda _: None
    asked: list[tuple[float, list[str]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    closed: bool = False

    @property
    def prompts(self) -> int:
        """How many it was asked, those in flight included."""
        return sum(len(texts) for _, texts in self.asked)

    async def complete(self, texts: Sequence[str], params: SamplingParams, *, timeout_s: float) -> Sequence[Answer]:
        self.asked.append((now_s(), list(texts)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(min(self.seconds, timeout_s))
        finally:
            self.at_once -= 1
        error = ModelSlow("too slow") if self.seconds > timeout_s else self.fails(texts)
        if error is not None:
            raise error
        return [self._answer(text, params) for text in texts]

    async def close(self) -> None:
        self.closed = True

    def _answer(self, text: str, params: SamplingParams) -> Answer:
        said = Candidate(text=text, tokens=(Token(text, -0.5),), cut=False)
        return Answer(candidates=(said,) * params.n, model_id="echo", at=NOW)
