"""The wire to Salesforce's REST API, through simple-salesforce."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import requests
from simple_salesforce.api import Salesforce, SFType
from simple_salesforce.format import format_external_id

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import Dialect
from connectors.protocols.requests_sessions import session_over
from connectors.records.answers import served_at
from connectors.records.instants import utc_now
from connectors.salesforce import permissions
from connectors.salesforce.records import DescribedObject, Identified, QueryAnswer, Saved, parse, required_id, without_attributes
from connectors.salesforce.refusals import names_from, reason, refusal, verdict
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.tokens import SignIn
from connectors.wire.budget import Allowance
from connectors.wire.tokens import TokenCache
from workforce.errors import HubError, Misconfigured, NotFound, OutcomeUnknown, RetryLater
from workforce.ports import CheckResult

USAGE = re.compile(r"api-usage=(?P<used>\d{1,12})/(?P<total>[1-9]\d{0,11})")
"""In Sforce-Limit-Info: the requests in 24 hours that were used, of those that all applications of the organisation share."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query. ``next`` is where the next one is; ``told_at`` Salesforce's own clock, if it told it."""

    records: tuple[dict[str, Any], ...]
    next: str | None
    told_at: datetime | None


class SalesforceClient:
    """One organisation. Thread-safe; connects on first use. Every method raises only the errors of ``workforce.errors``."""

    def __init__(
        self, settings: SalesforceSettings, around: Surroundings = ALONE, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self.settings = settings
        self._sign_in = SignIn(settings, around, now)
        allowance = Allowance("API requests of the organisation", left=share_left, reserved_share=settings.reserved_share)
        dialect = Dialect("salesforce", verdict=verdict, reason=reason, refusal=refusal, allowance=allowance)
        self._edge = TokenCache(self._sign_in.token).edge(settings.my_domain_url, dialect, around.reach(settings))
        self._salesforce = Salesforce(
            instance_url=settings.my_domain_url,
            session_id="held-by-the-edge",
            session=session_over(self._edge, "salesforce", sent_headers=("Content-Type", "Sforce-Query-Options")),
            version=settings.api_version,
            object_pairs_hook=dict,
        )

    @faults_as_result
    def check(self) -> CheckResult:
        """Let Salesforce describe the configured objects: names what the integration user lacks, before anything is written."""
        missing = list(self._missing())
        if missing:
            return CheckResult(ok=False, detail=f"salesforce: {'; '.join(missing)}")
        return CheckResult(ok=True, detail=f"salesforce: {self.settings.my_domain_url} answers; objects and fields can be used")

    def close(self) -> None:
        """Close the pooled connections."""
        self._salesforce.session.close()
        self._edge.close()
        self._sign_in.close()

    def query(self, soql: str, *, part: str, include_deleted: bool = False) -> Page:
        """The first page of a query. ``part`` of the form names what is asked; unknown names in it raise ``Misconfigured``."""
        headers = {"Sforce-Query-Options": f"batchSize={self.settings.page_size}"}
        heard = _Heard()
        with names_from(part):
            answer = self._salesforce.query(soql, include_deleted, headers=headers, hooks={"response": heard})
        return _page(answer, heard.told_at)

    def more(self, next_records_url: str) -> Page:
        """A further page. Raises ``NotFound`` when Salesforce has forgotten the query."""
        heard = _Heard()
        answer = self._salesforce.query_more(next_records_url, identifier_is_url=True, hooks={"response": heard})
        return _page(answer, heard.told_at)

    def record(self, sobject: str, record_id: str, fields: tuple[str, ...]) -> dict[str, Any]:
        """Some fields of a record. Raises ``NotFound``."""
        with names_from("sink"):
            answer = self._type(sobject).get(required_id(record_id), params={"fields": ",".join(("Id", *fields))})
        return without_attributes(parse(dict[str, Any], answer))

    def upsert(self, sobject: str, field: str, marker: str, values: Mapping[str, object]) -> str:
        """Create the record whose unique ``field`` says ``marker``, or set ``values`` on it; its id.

        Raises ``AlreadyTaken`` for another unique field, ``OutcomeUnknown``.
        """
        try:
            answer = self._type(sobject).upsert(format_external_id(field, marker), dict(values), raw_response=True)
        except NotFound:
            message = f"salesforce: {sobject} has no external id {field} that the integration user may see; see sink.marker_field"
            raise Misconfigured(message, cause="unknown_name", field="sink.marker_field") from None
        if answer.status_code == requests.codes.no_content:
            return self._id_of(sobject, field, marker)
        return parse.written(Saved, answer.content).id

    def update(self, sobject: str, record_id: str, values: Mapping[str, object]) -> None:
        """Set ``values``. Raises ``NotFound``, ``OutcomeUnknown``, ``RetryLater`` while somebody else holds the record."""
        status = self._type(sobject).update(required_id(record_id), dict(values))
        if status != requests.codes.no_content:  # a proxy's page is a success as well
            raise OutcomeUnknown(f"salesforce: update {sobject} answered {status} instead of 204", cause="unreadable_answer")

    def described(self, sobject: str, part: str) -> DescribedObject:
        """The object as the integration user sees it. Raises ``Misconfigured`` naming ``part`` of the form where there is none."""
        try:
            return parse(DescribedObject, self._type(sobject).describe())
        except NotFound:
            message = f"salesforce: there is no object {sobject}, or the integration user may not see it; see {part}"
            raise Misconfigured(message, cause="unknown_name", field=part) from None

    def _id_of(self, sobject: str, field: str, marker: str) -> str:
        """An upsert that changed something and said no more (204): the record is there, and only its id is asked for."""
        try:
            answer = self._type(sobject).get_by_custom_id(field, marker, params={"fields": "Id"})
            return parse(Identified, answer).id
        except HubError:
            raise OutcomeUnknown(
                "salesforce: the upsert succeeded without telling the record's id", cause="unreadable_answer"
            ) from None

    def _type(self, sobject: str) -> SFType:
        one = self._salesforce
        return SFType(sobject, one.session_id, one.sf_instance, one.sf_version, session=one.session, object_pairs_hook=dict)

    def _missing(self) -> Iterator[str]:
        source, sink = self.settings.source, self.settings.sink
        if source is None and sink is None:
            yield "neither source nor sink is configured"
        if source is not None:
            yield from permissions.for_source(source, self.described(source.object, "source.object"))
        if sink is not None:
            yield from permissions.for_sink(sink, self.described(sink.object, "sink.object"))


def share_left(response: httpx.Response) -> float | None:
    """The share of the organisation's API requests that is left, as an answer tells it."""
    usage = USAGE.match(response.headers.get("Sforce-Limit-Info", ""))
    return 1 - int(usage["used"]) / int(usage["total"]) if usage else None


class _Heard:
    """A response hook of ``requests`` that notes the time at Salesforce, which simple-salesforce does not hand on."""

    told_at: datetime | None = None

    def __call__(self, response: requests.Response, *_: object, **__: object) -> None:
        self.told_at = served_at(response)


def _page(answer: object, told_at: datetime | None) -> Page:
    read = parse(QueryAnswer, answer)
    if not read.done and read.next_records_url is None:
        raise RetryLater("salesforce: there are further records, and the answer does not tell where", cause="unreadable_answer")
    return Page(read.records, None if read.done else read.next_records_url, told_at)
