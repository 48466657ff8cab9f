"""The wire to a SCIM 2.0 service provider (RFC 7644): requests and answers by scim2-client, sent over our edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from scim2_client import (
    BaseSyncSCIMClient,
    ResponsePayloadValidationException,
    SCIMClientException,
    UnexpectedContentFormatException,
    UnexpectedContentTypeException,
)
from scim2_models import (
    BulkRequest,
    BulkResponse,
    ListResponse,
    PatchOp,
    Resource,
    SCIMException,
    SearchRequest,
    ServiceProviderConfig,
)

from connectors.contract import ALONE, Surroundings
from connectors.http import Dialect, HttpEdge, Verdict, json_object, verdict_by_status
from connectors.scim.credentials import credentials_of
from connectors.scim.records import MARKER_PATHS, PROVIDER, Account
from connectors.scim.settings import ScimSettings
from workforce.errors import AlreadyTaken, HubError, NotFound, OutcomeUnknown, Refused, RetryLater, UnusableContent
from workforce.markers import new_marker
from workforce.ports import CheckResult

MEDIA_TYPE = "application/scim+json"
REPLACE_ATTEMPTS = 3
SCIM_TYPES = frozenset({"invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue",
                        "invalidVers", "sensitive"})  # fmt: skip
"""RFC 7644 §3.12, table 9."""

R = TypeVar("R", bound=Resource[Any])
T = TypeVar("T")


class Position(BaseModel):
    """A place in a list: the index to go on from, counted from 1, the id that was last there, and how many were on the page before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int = 1
    anchor: str | None = None
    served: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some resources of a list, and where it goes on (``None``: it ends)."""

    resources: list[Any]
    next: Position | None


class ScimClient:
    """One service provider. Thread-safe; connects on first use."""

    def __init__(self, settings: ScimSettings, around: Surroundings = ALONE) -> None:
        self.settings, reach = settings, around.reach(settings)
        self.marker_path = MARKER_PATHS[settings.marker_attribute]
        self._credentials = credentials_of(settings, reach)
        self._edge = HttpEdge(
            settings.base_url,
            Dialect("scim", verdict=_verdict, reason=_reason),
            authorize=self._credentials.authorize,
            renew=self._credentials.renew,
            headers={"Accept": f"{MEDIA_TYPE}, application/json"},
            reach=reach,
        )
        self._scim = _Engine(self._edge)

    def check(self) -> CheckResult:
        """Read what the target says it can, and look for a marker that nobody has. Raises nothing."""
        try:
            told = self.features()
            fault = _missing(told, self.settings) if told is not None else None
            if fault is not None:
                return CheckResult(ok=False, detail=fault)
            self.page(Account, Position(), f'{self.marker_path} eq "{new_marker()}"')
        except HubError as error:
            return CheckResult(ok=False, detail=str(error))
        return CheckResult(
            ok=True, detail=f"scim: {self.settings.base_url} answers, and finds by {self.settings.marker_attribute}"
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._credentials.close()

    def features(self) -> ServiceProviderConfig | None:
        """What the target says it can (RFC 7643 §5); ``None`` where it does not say."""
        try:
            with _reading():
                return cast("ServiceProviderConfig | None", self._scim.query(ServiceProviderConfig, expected_status_codes=None))
        except NotFound:
            return None

    def get(self, kind: type[R], resource_id: str) -> R:
        """One resource. Raises ``NotFound``."""
        with _reading():
            return _present(self._scim.query(kind, _usable(resource_id), expected_status_codes=None), kind)

    def all(self, kind: type[R], condition: str, *, without: str | None = None) -> list[R]:
        """Every resource that fulfils a filter (RFC 7644 §3.4.2.2), once."""
        found: dict[str, R] = {}
        position: Position | None = Position()
        for _ in range(self.settings.max_pages):
            page = self.page(kind, position or Position(), condition, without=without)
            found |= {one.id: one for one in page.resources if one.id}
            position = page.next
            if position is None:
                return list(found.values())
        raise Refused(
            f"scim: a list has more than max_pages = {self.settings.max_pages} pages", cause="too_many_pages", field="max_pages"
        )

    def page(self, kind: type[R], position: Position, condition: str | None = None, *, without: str | None = None) -> Page:
        """A page of a list that may change while it is read (RFC 7644 §3.4.2.4 keeps nothing still): nothing is lost.

        Each page begins with the last resource of the one before. Where that shows no more, resources before it have gone and others
        have moved up, unseen; so we go back until it shows, or to the beginning.
        """
        query: dict[str, Any] = {"start_index": position.index, "count": self.settings.page_size}
        query |= {"filter": condition} if condition else {}
        query |= {"excluded_attributes": [without]} if without else {}
        with _reading():
            held = _present(
                self._scim.query(kind, query_parameters=SearchRequest(**query), expected_status_codes=None), ListResponse
            )
        resources, total = list(held.resources or []), held.total_results or 0
        ids, end = [one.id for one in resources], position.index + len(resources) - 1
        if held.start_index not in {None, position.index} and resources:
            raise Refused("scim: the target does not page by startIndex", cause="no_paging")
        if position.anchor is not None and position.anchor not in ids:
            index = max(1, position.index - position.served + 1)
            anchor = position.anchor if index > 1 else None
            return Page([], Position(index=index, anchor=anchor, served=position.served))
        fresh = [one for one in resources if one.id != position.anchor]
        if end >= total:
            return Page(fresh, None)
        if not ids:
            raise RetryLater("scim: a page of a list is empty before its end", cause="missing_page")
        if ids == [position.anchor]:
            raise Refused("scim: the target gives one resource a page, so none can follow another", cause="no_paging")
        return Page(fresh, Position(index=end, anchor=ids[-1], served=len(ids)))

    def create(self, account: Mapping[str, Any]) -> str:
        """Create a User, once; its id. Raises ``AlreadyTaken``, ``OutcomeUnknown``."""
        with PROVIDER:
            wanted = Account.model_validate(account)
        with _writing():
            account_id = _present(self._scim.create(wanted, expected_status_codes=None), Account).id
        if not account_id:
            raise OutcomeUnknown("scim: the answer to a create holds no id", cause="unreadable_answer")
        return account_id

    def patch(self, kind: type[Resource[Any]], resource_id: str, operations: list[dict[str, Any]]) -> None:
        """Change parts of a resource, once (RFC 7644 §3.5.2)."""
        body = {"schemas": [str(PatchOp.__schema__)], "Operations": operations}
        with _writing():
            self._scim.modify(kind, _usable(resource_id), body, expected_status_codes=None)

    def replace(self, kind: type[R], resource_id: str, change: Callable[[R], R], *, needs_version: bool = False) -> None:
        """Read a resource, change it, and send it back whole, unless it has changed meanwhile (RFC 7644 §3.5.1, §3.14).

        Where the target gives no versions, a change by somebody else in between is lost: ``needs_version`` refuses to take that risk.
        """
        for _ in range(REPLACE_ATTEMPTS):
            held = self.get(kind, resource_id)
            version = held.meta.version if held.meta else None
            if version is None and needs_version:
                raise Refused(
                    "scim: neither PATCH nor versions: members would be lost; set patch", cause="no_version", field="patch"
                )
            with PROVIDER:
                wanted = change(held)
            try:
                with _writing():
                    self._scim.replace(wanted, headers={"If-Match": version} if version else {}, expected_status_codes=None)
            except Refused as error:
                if error.cause != "http_412":
                    raise
            else:
                return
        raise RetryLater("scim: the resource changes faster than it can be replaced", cause="version_conflict")

    def bulk(self, request: BulkRequest[Any]) -> BulkResponse[Any]:
        """Several operations in one request, each with an outcome of its own (RFC 7644 §3.7)."""
        with _writing():
            return _present(cast("BulkResponse[Any] | None", self._scim.bulk(request, expected_status_codes=None)), BulkResponse)


class _Engine(BaseSyncSCIMClient):
    """scim2-client's preparing and checking, on our edge. What the edge or the target refuses leaves it as one of our errors."""

    def __init__(self, edge: HttpEdge) -> None:
        super().__init__(provider=PROVIDER)
        self._edge = edge

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        """Send one request; reads are retried by the edge, writes are not."""
        if "json" in kwargs:
            kwargs["headers"] = {**kwargs.get("headers", {}), "Content-Type": MEDIA_TYPE}
        return _accept((self._edge.read if method == "GET" else self._edge.write)(method, url, **kwargs))


@contextmanager
def _reading() -> Iterator[None]:
    """Answers that cannot be used: cut off or no JSON may be better next time, of another form will not."""
    try:
        yield
    except (UnexpectedContentFormatException, UnexpectedContentTypeException):
        raise RetryLater("scim: an answer is not readable", cause="unreadable_answer") from None
    except (SCIMClientException, SCIMException, ValidationError) as error:
        raise UnusableContent(f"scim: an answer is not as RFC 7644 has it: {_fields(error)}") from None


@contextmanager
def _writing() -> Iterator[None]:
    """Whatever comes back instead of a good answer, it may have been done."""
    try:
        yield
    except (SCIMClientException, SCIMException, ValidationError) as error:
        raise OutcomeUnknown(f"scim: the answer to a write cannot be used: {_fields(error)}", cause="unreadable_answer") from None


def _fields(error: Exception) -> str:
    """The fields at fault, without their values."""
    cause = error.__cause__ if isinstance(error, ResponsePayloadValidationException) else error
    if isinstance(cause, ValidationError):
        return ", ".join(".".join(map(str, fault["loc"])) for fault in cause.errors(include_input=False)[:5])
    return type(error).__name__


def _present(answer: object, kind: type[T]) -> T:
    if not isinstance(answer, kind):
        raise UnexpectedContentFormatException
    return answer


def _usable(resource_id: str) -> str:
    if resource_id in {"", ".", ".."}:
        raise NotFound("scim: no resource has such an id")
    return resource_id


def _missing(told: ServiceProviderConfig, settings: ScimSettings) -> str | None:
    """What we need and the target says it has not."""
    if told.filter is not None and told.filter.supported is False:
        return "scim: the target cannot filter, so nobody could be found by marker or userName"
    if settings.patch and told.patch is not None and told.patch.supported is False:
        return "scim: the target has no PATCH; set patch to false"
    return None


def _verdict(response: httpx.Response) -> Verdict:
    """Refusals pass the edge, ``_accept`` reads them; 501 is one, a feature that is not there (RFC 7644 §3.12)."""
    verdict = Verdict.REFUSED if response.status_code == 501 else verdict_by_status(response)
    return Verdict.OK if verdict is Verdict.REFUSED else verdict


def _accept(response: httpx.Response) -> httpx.Response:
    """The answer, if it is a success. A conflict of a POST is one of a unique attribute (RFC 7644 §3.3)."""
    if response.is_success:
        return response
    method, status = response.request.method, response.status_code
    said = f"scim: {method} answered {status}: {_reason(response)}"
    if status == 409 and method == "POST" and response.request.url.path.endswith("/Users"):
        raise AlreadyTaken(f"{said}: look up who holds userName", field="userName")
    raise Refused(said, cause=(_scim_type(response) if status == 400 else None) or f"http_{status}")


def _reason(response: httpx.Response) -> str:
    """The error's keyword; its ``detail`` may name people."""
    return _scim_type(response) or response.reason_phrase


def _scim_type(response: httpx.Response) -> str | None:
    try:
        told = json_object(response, "scim").get("scimType")
    except OutcomeUnknown:
        return None
    return told if told in SCIM_TYPES else None
