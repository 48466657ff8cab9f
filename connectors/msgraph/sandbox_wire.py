"""How the sandbox of Graph words things: errors, lists, selections, filters. Messages and codes are not verified against the vendor."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from connectors.suite.sandbox import Answer, Collected, FaultKind

DEFAULT_FIELDS = ("businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
                  "preferredLanguage", "surname", "userPrincipalName")  # fmt: skip
_WRITABLE = frozenset({*DEFAULT_FIELDS, "accountEnabled", "city", "companyName", "country", "department", "employeeHireDate", "employeeId",
                       "employeeLeaveDateTime", "employeeOrgData", "employeeType", "mailNickname", "onPremisesExtensionAttributes",
                       "otherMails", "passwordPolicies", "passwordProfile", "postalCode", "state", "streetAddress", "usageLocation", "userType"} - {"id"})  # fmt: skip
_LISTS = frozenset(
    {"businessPhones", "otherMails", "proxyAddresses", "licenseAssignmentStates", "groupTypes", "assignedLicenses"}
)
_EQUALS = re.compile(r"((?:\w+/)?\w+) eq '((?:[^']|'')*)'")
_PLAIN = frozenset({"employeeId", "userPrincipalName", "displayName", "mail", "id"})


def _answer(status: int, code: str, words: str, *headers: tuple[bytes, bytes]) -> Answer:
    error = {"code": code, "message": words, "innerError": {"request-id": str(uuid4()), "date": now_text()}}
    return Answer(status, json.dumps({"error": error}).encode(), ((b"content-type", b"application/json"), *headers))


def answers() -> dict[FaultKind, Answer]:
    """Faults in Graph's own words."""
    throttled, away = (429, "TooManyRequests", "Too many requests."), (503, "serviceNotAvailable", "The service is unavailable.")
    return {
        FaultKind.THROTTLED_BEFORE: _answer(*throttled, (b"retry-after", b"0")),
        FaultKind.THROTTLED_BARE_BEFORE: _answer(*throttled),
        FaultKind.UNAVAILABLE_BEFORE: _answer(*away),
        FaultKind.BUSY_BEFORE: _answer(*away, (b"retry-after", b"1")),
        FaultKind.EXPIRED_BEFORE: _answer(401, "InvalidAuthenticationToken", "Access token has expired."),
        FaultKind.FORBIDDEN_BEFORE: _answer(403, "Authorization_RequestDenied", "Insufficient privileges."),
        FaultKind.REFUSED_BEFORE: _answer(400, "Request_BadRequest", "One or more properties are invalid."),
        FaultKind.TIMEOUT_BEFORE: _answer(504, "timeout", "The request timed out."),  # only for parts of a batch
        FaultKind.ERROR_AFTER: _answer(500, "generalException", "An error occurred."),
    }


@dataclass
class GraphError(Exception):
    """A refusal."""

    status: int
    code: str
    message: str
    details: list[dict[str, str]] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def now_text() -> str:
    """The time, as Graph writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def throttled(seconds: int) -> GraphError:
    """The refusal of too many requests."""
    return GraphError(429, "TooManyRequests", "Too many requests", headers={"Retry-After": str(seconds)})


def as_request(batch: Request, part: Mapping[str, Any], answer: Collected) -> tuple[Any, Any, Any]:
    """A part of a batch as a request of its own, with the token of the batch."""
    url, body = urlsplit(f"/v1.0{part['url']}"), part.get("body")
    headers = {name.lower(): value for name, value in part.get("headers", {}).items()}
    if body is not None and "content-type" not in headers:
        body = None  # Graph does not read a body of unknown type
    outer = {name: batch.headers[name] for name in ("authorization", "host", "client-request-id") if name in batch.headers}
    scope = {name: batch.scope[name] for name in ("type", "asgi", "http_version", "scheme", "server", "client", "root_path")}
    scope |= {"method": part["method"], "path": unquote(url.path), "query_string": url.query.encode()}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in {**headers, **outer}.items()]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode(), "more_body": False}

    return scope, receive, answer


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return body


def merged(user: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The user with ``fields`` set; of a complex property, what is not named stays (OData 4.01 part 1, 11.4.3)."""
    return {**user, **{n: {**(user.get(n) or {}), **value} if isinstance(value, dict) else value for n, value in fields.items()}}


def check_fields(body: Mapping[str, Any]) -> None:
    """Raise ``GraphError`` for a field that nobody may set, or a value that it cannot have."""
    for name, value in body.items():
        if name not in _WRITABLE:
            raise GraphError(400, "Request_BadRequest", f"Invalid property '{name}'.")
        if value == "" or (name == "employeeId" and len(value or "") > 16):
            raise GraphError(400, "Request_BadRequest", f"Invalid value specified for property '{name}' of resource 'User'.")


def condition(request: Request) -> Callable[[Mapping[str, Any]], bool]:
    """What ``$filter`` asks for: fields that equal texts, one or another."""
    text = request.query_params.get("$filter")
    if text is None:
        return lambda _user: True
    matches = [_EQUALS.fullmatch(each) for each in text.split(" or ")]
    is_advanced = request.headers.get("consistencylevel") == "eventual" and request.query_params.get("$count") == "true"
    wanted = [(match.group(1), match.group(2).replace("''", "'").casefold()) for match in matches if match]
    if len(wanted) != len(matches) or not all(name in _PLAIN or (is_advanced and "/" in name) for name, _ in wanted):
        raise GraphError(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.")
    return lambda user: any(_field(user, name) == value for name, value in wanted)


def _field(user: Mapping[str, Any], name: str) -> str:
    outer, _, inner = name.partition("/")
    return str((user.get(outer) or {}).get(inner) if inner else user.get(outer)).casefold()


def selected(request: Request, user: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that ``$select`` asks for, or those that Graph gives by itself."""
    names = request.query_params.get("$select", ",".join(DEFAULT_FIELDS)).split(",")
    return {name: user.get(name, [] if name in _LISTS else None) for name in names if name != "passwordProfile"}


def listed(request: Request, items: list[dict[str, Any]], link: str | None, count: int | None = None) -> Response:
    """One page of a list."""
    context = f"{request.base_url}v1.0/$metadata#{request.url.path.rpartition('/')[2]}"
    counted = {} if count is None else {"@odata.count": count}
    return JSONResponse({"@odata.context": context, **counted, "value": items, **({"@odata.nextLink": link} if link else {})})


def not_found(key: str) -> GraphError:
    """The refusal where there is nothing."""
    words = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", words)


def error_answer(request: Request, error: GraphError) -> Response:
    """A refusal on the wire."""
    trace = {"date": now_text(), "request-id": str(uuid4()), "client-request-id": request.headers.get("client-request-id", "")}
    details = {} if error.details is None else {"details": error.details}
    main = {"code": error.code, "message": error.message, "innerError": trace, **details}
    return JSONResponse({"error": main}, error.status, error.headers)
