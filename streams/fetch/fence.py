"""Notices that another process has taken this one's place in its consumer group, and keeps it from taking it back.

Two with one `COSMO_GROUP_INSTANCE_ID` would otherwise take the partitions from each other for ever. Kafka tells the one
whose place was taken, but only if it comes back under the member id that it had, and aiokafka forgets that first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiokafka.errors import UnknownMemberIdError
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

FENCED_INSTANCE_ID = 82
"""Kafka's number of the error, which aiokafka does not know."""


class Fence:
    """Stands before what aiokafka's coordinator sends, in its thread. ``on_fenced`` may be called more than once."""

    def __init__(self, coordinator: Any, on_fenced: Callable[[], None]) -> None:
        self._coordinator, self._on_fenced = coordinator, on_fenced
        self._send = coordinator._send_req
        self._member_id = ""
        self._told_by: object = None
        """The broker's reign in which it told us the member id. Its successor may know an older one of ours only, which
        is no reason to stop."""
        coordinator._send_req = self.send

    async def send(self, request: Any) -> Any:
        """As the coordinator's own. Raises UnknownMemberIdError where our place is another's: it tries again then."""
        if isinstance(request, JoinGroupRequest):
            return await self._join(request)
        response = await self._send(request)
        if isinstance(request, SyncGroupRequest):
            self._check(response)
        return response

    async def _join(self, request: JoinGroupRequest) -> Any:
        response = None
        if not request._member_id and self._is_same_reign:
            response = await self._send(_under(self._member_id, request))
            if response.error_code == UnknownMemberIdError.errno:  # we were away for too long, and nobody came instead
                self._told_by = response = None
        response = response or await self._send(request)
        self._check(response)
        if not response.error_code:
            self._member_id, self._told_by = response.member_id, self._coordinator._coordinator_dead_fut
        return response

    def _check(self, response: Any) -> None:
        if response.error_code != FENCED_INSTANCE_ID:
            return
        if self._is_same_reign:
            self._on_fenced()
        else:
            self._coordinator.reset_generation()
        raise UnknownMemberIdError

    @property
    def _is_same_reign(self) -> bool:
        return self._told_by is self._coordinator._coordinator_dead_fut  # which is another for each that is found


def _under(member_id: str, request: JoinGroupRequest) -> JoinGroupRequest:
    return JoinGroupRequest(
        request._group,
        request._session_timeout,
        request._rebalance_timeout,
        member_id,
        request._group_instance_id,
        request._protocol_type,
        request._group_protocols,
    )
