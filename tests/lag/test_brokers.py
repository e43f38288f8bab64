"""What the brokers answer, and do not answer, about commits."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import OFFSET_INVALID, KafkaError

from cosmo.lag.brokers import commits


@dataclass(slots=True)
class Answer:
    """As a client gives it for one partition."""

    partition: int
    offset: int = OFFSET_INVALID
    error: KafkaError | None = None
    topic: str = "t"


def test_an_error_is_no_word_about_a_commit() -> None:
    """The broker answers with the offset of "no commit" beside its error."""
    unstable = KafkaError(KafkaError.UNSTABLE_OFFSET_COMMIT)
    found = commits([Answer(0, 7), Answer(1), Answer(2, error=unstable)])
    assert found.offsets == {("t", 0): 7}
    assert found.problems == {("t", 2): f"what was committed is not known: {unstable.str()}"}
