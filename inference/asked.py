"""The words between what is asked and what was answered: prompt, sampling parameters, candidate, answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question about one pair. ``template_id`` names the wording and its version."""

    text: str
    relation: str
    template_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the model is to answer; the same for every prompt of a process.

    The seed is one figure for all prompts: servers seed each prompt of a list separately, so the same prompt gives
    the same answer wherever in a batch it stands. (Equal up to the rounding of a batched matrix product.)
    """

    n: int = 1
    max_tokens: int = 16
    temperature: float = 0.0
    stop: tuple[str, ...] = ("\n",)
    seed: int = 20240609


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an answer, and the natural logarithm of its probability before temperature."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of the ``n`` texts that answer a prompt. ``cut`` says that ``max_tokens`` ended it, not the model."""

    text: str
    tokens: tuple[Token, ...]
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All candidates for one prompt, in the server's order; ``at`` is aware UTC."""

    candidates: tuple[Candidate, ...]
    model_id: str
    at: datetime
