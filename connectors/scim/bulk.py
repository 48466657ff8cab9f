"""Many accounts in one request (RFC 7644 §3.7). Only what the target clearly reports as done counts; all else is done one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scim2_models import BulkOperation, BulkRequest, BulkResponse, PatchOp, PatchOperation

from connectors.scim.client import ScimClient
from connectors.scim.records import Account
from workforce.errors import HubError

OPERATION_BYTES = 400
"""More than one operation takes, with an id of common length."""


def deactivated(client: ScimClient, account_ids: Sequence[str]) -> frozenset[str]:
    """Clear ``active`` of each, where the target has /Bulk; those that it reports as done. Raises nothing."""
    done: set[str] = set()
    try:
        for some in _portions(account_ids, _limit(client)):
            done |= _done(client.bulk(BulkRequest[Account](operations=[_operation(one) for one in some])), some)
    except HubError:
        pass  # what is not reported as done is done one by one, and its errors are told there
    return frozenset(done)


def _limit(client: ScimClient) -> int:
    told = client.features()
    bulk = told.bulk if told is not None else None
    if bulk is None or not bulk.supported:
        return 0
    return min(bulk.max_operations or 0, (bulk.max_payload_size or 0) // OPERATION_BYTES)


def _portions(account_ids: Sequence[str], limit: int) -> Iterator[Sequence[str]]:
    return (account_ids[start : start + limit] for start in range(0, len(account_ids), limit)) if limit > 0 else iter(())


def _operation(account_id: str) -> BulkOperation[Any]:
    cleared = PatchOp[Account](operations=[PatchOperation[Account](op=PatchOperation.Op.replace_, path="active", value=False)])
    return BulkOperation[Account](method=BulkOperation.Method.patch, path=f"/Users/{account_id}", data=cleared)


def _done(answer: BulkResponse[Any], asked: Sequence[str]) -> set[str]:
    """The ids of those answered with a success; a result says by ``location`` whose it is."""
    good = {
        str(one.location).rpartition("/")[2]
        for one in answer.operations or []
        if one.status is not None and 200 <= one.status < 300
    }
    return good & set(asked)
