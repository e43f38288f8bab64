"""Who has our place in the group, by what the coordinator answers; without a broker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest

from streams.fetch.fence import FENCED_INSTANCE_ID, Fence


@dataclass
class Answer:
    error_code: int = 0
    member_id: str = ""


@dataclass
class ScriptedCoordinator:
    """Answers as told, and remembers under which member id it was asked to join."""

    answers: list[Answer]
    joined_as: list[str] = field(default_factory=list)
    resets: int = 0
    _coordinator_dead_fut: object = field(default_factory=object)

    async def _send_req(self, request: object) -> Answer:
        if isinstance(request, JoinGroupRequest):
            self.joined_as.append(request._member_id)
        return self.answers.pop(0)

    def reset_generation(self) -> None:
        self.resets += 1

    def moves(self) -> None:
        """To another broker."""
        self._coordinator_dead_fut = object()


def join(member_id: str = "") -> JoinGroupRequest:
    return JoinGroupRequest("group", 1, 1, member_id, "name", "consumer", [])


def sync() -> SyncGroupRequest:
    return SyncGroupRequest("group", 1, "m1", "name", [])


FENCED, FORGOTTEN = Answer(FENCED_INSTANCE_ID), Answer(UnknownMemberIdError.errno)


async def member(*answers: Answer) -> tuple[ScriptedCoordinator, Fence, asyncio.Event]:
    """Of the group, as m1."""
    fenced = asyncio.Event()
    coordinator = ScriptedCoordinator([Answer(member_id="m1"), *answers])
    fence = Fence(coordinator, fenced.set)
    await coordinator._send_req(join())
    return coordinator, fence, fenced


@pytest.mark.parametrize("request_", [join(), join("m1"), sync()], ids=["join as new", "join again", "sync"])
async def test_whose_place_is_taken_is_told_and_does_not_take_it_back(request_: JoinGroupRequest) -> None:
    coordinator, _, fenced = await member(FENCED)
    with pytest.raises(UnknownMemberIdError):
        await coordinator._send_req(request_)
    assert fenced.is_set()
    assert coordinator.joined_as[1:] in ([], ["m1"])


async def test_whoever_was_away_for_too_long_joins_anew() -> None:
    coordinator, _, fenced = await member(FORGOTTEN, Answer(member_id="m2"))
    assert (await coordinator._send_req(join())).member_id == "m2"
    assert coordinator.joined_as == ["", "m1", ""]
    assert not fenced.is_set()


@pytest.mark.parametrize("request_", [join("m1"), sync()], ids=["join", "sync"])
async def test_a_coordinator_that_knows_an_older_id_of_ours_only_is_no_reason_to_stop(
    request_: JoinGroupRequest,
) -> None:
    """One that died before it had written down the newer."""
    coordinator, _, fenced = await member(FENCED, Answer(member_id="m2"))
    coordinator.moves()
    with pytest.raises(UnknownMemberIdError):
        await coordinator._send_req(request_)
    assert coordinator.resets == 1
    await coordinator._send_req(join())
    assert coordinator.joined_as[-1] == ""
    assert not fenced.is_set()


async def test_the_first_join_and_what_is_none_pass_as_they_are() -> None:
    coordinator, _, _ = await member(Answer(25))
    assert (await coordinator._send_req(HeartbeatRequest("group", 1, "m1"))).error_code == 25
    assert coordinator.joined_as == [""]
