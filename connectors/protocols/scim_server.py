"""Resources of a SCIM 2.0 service provider over HTTP (RFC 7644): lists, PATCH, PUT, bulk, refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

import httpx

from connectors.http import Dialect, HttpEdge, Verdict, harmless, json_object, verdict_by_status
from connectors.protocols.scim_resources import MESSAGES, Resource, User, inside
from connectors.records.paging import Position
from workforce.errors import AlreadyTaken, HubError, NotFound, OutcomeUnknown, Refused, RetryLater, UnusableContent

MEDIA_TYPE = "application/scim+json"
REPLACE_ATTEMPTS = 3
BULK_OPERATIONS = 100
"""At most, in one request: the first are blocked before the last are looked at."""
OPERATION_BYTES = 400
"""More than one operation takes, with an id of common length."""
SCIM_TYPES = frozenset({"invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue",
                        "invalidVers", "sensitive"})  # fmt: skip
"""RFC 7644 §3.12, table 9."""
_READ_ONLY = frozenset({"id", "meta", "groups"})

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some resources of a list, and where it goes on (``None``: it ends)."""

    resources: list[R]
    next: Position | None


class ResourceServer:
    """The resources behind ``edge``, which speaks the dialect ``SCIM``. Lists come by ``page_size`` and have ``max_pages`` at most."""

    def __init__(self, edge: HttpEdge, *, page_size: int, max_pages: int) -> None:
        self._edge, self._page_size, self._max_pages = edge, page_size, max_pages

    def features(self) -> Mapping[str, Any]:
        """What the target says it can (RFC 7643 §5); empty where it does not say."""
        try:
            return _object(self._read("/ServiceProviderConfig", {}))
        except NotFound:
            return {}

    def get(self, kind: type[R], resource_id: str, **query: str) -> R:
        """One resource. Raises ``NotFound``; ``Refused`` where the target takes other things for ids too, and finds another."""
        response = self._read(resource_path(kind, resource_id), query)
        found = _resource(kind, _object(response), response.headers.get("etag"))
        if found.id != resource_id:
            raise Refused("scim: the target answers with another resource than that of the id", cause="another_id")
        return found

    def all(self, kind: type[R], condition: str, **query: str) -> list[R]:
        """Every resource that fulfils a filter (RFC 7644 §3.4.2.2), once."""
        found: dict[str, R] = {}
        position: Position | None = Position()
        while position is not None:
            page = self.page(kind, position, condition, **query)
            found |= {one.id: one for one in page.resources}
            position = page.next
        return list(found.values())

    def page(self, kind: type[R], position: Position, condition: str | None = None, **query: str) -> Page[R]:
        """A page of a list that may change while it is read: RFC 7644 §3.4.2.4 keeps nothing still, a ``Position`` loses nothing."""
        if position.turn > self._max_pages:
            shown = f"max_pages = {self._max_pages}"
            raise Refused(f"scim: a list has more than {shown} pages", cause="too_many_pages", field="max_pages")
        asked = {"startIndex": str(position.index), "count": str(self._page_size), **query}
        body = _object(self._read(kind.endpoint, asked | ({"filter": condition} if condition else {})))
        resources, total = _listed(kind, body, position.index)
        fresh, following = position.following("scim", [one.id for one in resources], total)
        return Page([one for one in resources if one.id in fresh], following)

    def create(self, account: Mapping[str, Any]) -> str:
        """Create a User, once; its id. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        try:
            return _resource(User, _object(self._write("POST", User.endpoint, account))).id
        except UnusableContent:
            raise OutcomeUnknown("scim: the answer to a create holds no id", cause="unreadable_answer") from None

    def patch(self, kind: type[Resource], resource_id: str, operations: Sequence[Mapping[str, Any]]) -> None:
        """Change parts of a resource, once (RFC 7644 §3.5.2)."""
        _require_success(self._write("PATCH", resource_path(kind, resource_id), _patch(operations)))

    def replace(self, held: R, change: Callable[[R], Mapping[str, Any]], *, needs_version: bool = False) -> None:
        """Send a resource back whole and changed, unless it has changed since it was read (RFC 7644 §3.5.1, §3.14); then read it again.

        Where the target gives no versions, a change by somebody else in between is lost: ``needs_version`` refuses to take that risk.
        """
        for _ in range(REPLACE_ATTEMPTS):
            if held.version is None and needs_version:
                message = "scim: neither PATCH nor versions: members would be lost; set patch"
                raise Refused(message, cause="no_version", field="patch")
            body = {name: value for name, value in change(held).items() if name not in _READ_ONLY}
            condition = {"If-Match": held.version} if held.version else {}
            try:
                return _require_success(self._write("PUT", resource_path(type(held), held.id), body, condition))
            except Refused as error:
                if error.cause not in {"http_409", "http_412"}:
                    raise
            held = self.get(type(held), held.id)
        raise RetryLater("scim: the resource changes faster than it can be replaced", cause="version_conflict")

    def bulk_operations(self) -> int:
        """How many operations go into one request (RFC 7644 §3.7); 0 where the target has no bulk, or does not say."""
        try:
            bulk = inside(self.features(), "bulk")
        except HubError:
            return 0
        limits = [inside(bulk, "maxOperations"), inside(bulk, "maxPayloadSize")]
        operations, size = (limit if isinstance(limit, int) else 0 for limit in limits)
        return min(operations, size // OPERATION_BYTES, BULK_OPERATIONS) if inside(bulk, "supported") is True else 0

    def patch_in_bulk(self, kind: type[Resource], ids: Sequence[str], operations: Sequence[Mapping[str, Any]]) -> frozenset[str]:
        """The same change of each in one request (RFC 7644 §3.7); the ids of those that are clearly reported as done.

        Results come in any order and say by ``location`` whose they are; some may be missing.
        """
        each = [{"method": "PATCH", "path": resource_path(kind, one), "data": _patch(operations)} for one in ids]
        body = {"schemas": [f"{MESSAGES}:BulkRequest"], "Operations": each}
        results = inside(_object(self._write("POST", "/Bulk", body)), "Operations")
        done, failed = set[str](), set[str]()
        for result in results if isinstance(results, list) else []:
            told = unquote(str(inside(result, "location")).rpartition("/")[2])
            (done if str(inside(result, "status")) in {"200", "204"} else failed).add(told)
        return frozenset(done - failed) & frozenset(ids)

    def _read(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        response = self._edge.read("GET", path, params=query)
        with harmless():
            json_object(response, "scim")
        return response

    def _write(self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self._edge.write(method, path, json=body, headers={"Content-Type": MEDIA_TYPE, **(headers or {})})


def resource_path(kind: type[Resource], resource_id: str) -> str:
    """Where one resource is; its id stays one segment of the path. Raises ``NotFound`` for what can be no id."""
    if resource_id in {"", ".", ".."} or not resource_id.isprintable():
        raise NotFound("scim: no resource has such an id")
    return f"{kind.endpoint}/{quote(resource_id, safe='')}"


def _patch(operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"schemas": [f"{MESSAGES}:PatchOp"], "Operations": list(operations)}


def _object(response: httpx.Response) -> dict[str, Any]:
    """The message in a success. Raises ``OutcomeUnknown`` for none, and for an error that is sent as a success."""
    body = json_object(response, "scim")
    if inside(body, "schemas") == [f"{MESSAGES}:Error"]:
        raise OutcomeUnknown("scim: an error is sent as a success", cause="unreadable_answer")
    return body


def _require_success(response: httpx.Response) -> None:
    """What a target shows after a change is read back elsewhere; here it only has to be an answer of a SCIM target."""
    if response.content:
        _object(response)


def _resource(kind: type[R], body: object, etag: str | None = None) -> R:
    found, version = inside(body, "id"), inside(body, "meta", "version")
    if not isinstance(body, Mapping) or not isinstance(found, str) or not found:
        raise UnusableContent(f"scim: a resource of {kind.endpoint} has no id", field="id")
    return kind(found, body, version if isinstance(version, str) and version else etag)


def _listed(kind: type[R], body: Mapping[str, Any], index: int) -> tuple[list[R], int]:
    """The resources of a page, and how many the list has (RFC 7644 §3.4.2)."""
    total, held, start = inside(body, "totalResults"), inside(body, "Resources"), inside(body, "startIndex")
    if not isinstance(total, int) or not isinstance(held, list | None) or (held is None and total > 0):
        raise UnusableContent("scim: a list is not as RFC 7644 has it", field="totalResults")
    resources = [_resource(kind, one) for one in held or []]
    if start not in (None, index) and resources:
        raise Refused("scim: the target does not page by startIndex", cause="no_paging")
    return resources, total


def _verdict(response: httpx.Response) -> Verdict:
    """501 is a refusal: of a feature that is not there (RFC 7644 §3.12)."""
    return Verdict.REFUSED if response.status_code == 501 else verdict_by_status(response)


def _refusal(said: str, response: httpx.Response) -> HubError:
    """What is refused. A conflict of a POST is one of a unique attribute (RFC 7644 §3.3)."""
    request, status, told = response.request, response.status_code, _scim_type(response)
    is_create = request.method == "POST" and request.url.path.endswith(User.endpoint)
    if is_create and (status == 409 or (status == 400 and told == "uniqueness")):
        return AlreadyTaken(f"{said}: look up who holds userName", field="userName")
    return Refused(said, cause=(told if status in {400, 409} else None) or f"http_{status}")


def _reason(response: httpx.Response) -> str:
    """The error's keyword; its ``detail`` may name people."""
    return _scim_type(response) or response.reason_phrase


def _scim_type(response: httpx.Response) -> str | None:
    try:
        told = inside(json_object(response, "scim"), "scimType")
    except OutcomeUnknown:
        return None
    return told if isinstance(told, str) and told in SCIM_TYPES else None


SCIM = Dialect("scim", verdict=_verdict, reason=_reason, refusal=_refusal)
"""How a service provider answers (RFC 7644 §3.12)."""
