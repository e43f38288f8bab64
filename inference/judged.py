"""From a pair and the model's answers to records: what was accepted, and what was refused and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference.asked import Answer, Candidate, Prompt
from inference.filters import Proposal, reason_against
from inference.ids import intent_id
from inference.normalize import key_of
from inference.pairs import head_of
from inference.plausibility import plausibility
from inference.tail import Tail, tail_of
from inference.templates import example_keys
from schemas.records import BehaviorPair, Intent, RejectedIntent

MAX_REJECTED_CHARS = 1_000
"""Kept of a refused candidate. A server that does not heed ``max_tokens`` may send more than a record holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Everything that came of one pair; each candidate is in one list or the other, in the order asked."""

    accepted: tuple[Intent, ...]
    rejected: tuple[RejectedIntent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """One candidate, where it came from."""

    prompt: Prompt
    answer: Answer
    tail: Tail
    tail_key: str
    plausibility: float

    @property
    def scores(self) -> dict[str, float]:
        mean = self.tail.mean_logprob
        return {"plausibility": self.plausibility} | ({} if mean is None else {"mean_logprob": mean})


def judge(pair: BehaviorPair, answered: Sequence[tuple[Prompt, Answer]]) -> Judged:
    """Judge each candidate of each answer. The same answers always give the same records."""
    accepted: dict[str, Intent] = {}
    rejected: list[RejectedIntent] = []
    for said in _everything(answered):
        reason = reason_against(_proposal(pair, said, frozenset(accepted)))
        if reason is None:
            accepted[said.tail_key] = _intent(pair, said)
        else:
            rejected.append(_rejected(pair, said, reason))
    return Judged(accepted=tuple(accepted.values()), rejected=tuple(rejected))


def _everything(answered: Sequence[tuple[Prompt, Answer]]) -> Iterable[_Said]:
    for prompt, answer in answered:
        for candidate in answer.candidates:
            yield _said(prompt, answer, candidate)


def _said(prompt: Prompt, answer: Answer, candidate: Candidate) -> _Said:
    tail = tail_of(candidate)
    sure = plausibility(tail.mean_logprob)
    return _Said(prompt=prompt, answer=answer, tail=tail, tail_key=key_of(tail.text), plausibility=sure)


def _proposal(pair: BehaviorPair, said: _Said, earlier: frozenset[str]) -> Proposal:
    return Proposal(
        pair=pair,
        tail=said.tail,
        tail_key=said.tail_key,
        plausibility=said.plausibility,
        examples=example_keys(said.prompt.template_id),
        earlier=earlier,
    )


def _intent(pair: BehaviorPair, said: _Said) -> Intent:
    head_kind, head = head_of(pair)
    return Intent(
        intent_id=intent_id(head_kind, head, said.prompt.relation, said.tail_key),
        pair_id=pair.pair_id,
        head_kind=head_kind,
        head=head,
        query=pair.query,
        products=pair.products,
        relation=said.prompt.relation,
        tail=said.tail.text,
        tail_key=said.tail_key,
        plausibility=said.plausibility,
        typicality=None,  # nothing judges it yet; a constant would look like a judgement
        support=pair.support,
        event_time=pair.event_time,
        generated_time=said.answer.at,
        template_id=said.prompt.template_id,
        model_id=said.answer.model_id,
        specificity=pair.specificity,
        product_types=pair.product_types,
        scores=said.scores,
    )


def _rejected(pair: BehaviorPair, said: _Said, reason: str) -> RejectedIntent:
    return RejectedIntent(
        pair_id=pair.pair_id,
        query=pair.query,
        product_ids=tuple(product.product_id for product in pair.products),
        relation=said.prompt.relation,
        tail=said.tail.text[:MAX_REJECTED_CHARS],
        reason=reason,
        scores=said.scores,
        template_id=said.prompt.template_id,
        model_id=said.answer.model_id,
        generated_time=said.answer.at,
    )
