"""The road from simple-salesforce to the network: a ``requests`` adapter over ``HttpEdge``.

simple-salesforce wants a ``requests.Session``. Of itself such a session has no timeout, resolves names without judging the addresses,
follows redirects with the token, and lets REQUESTS_CA_BUNDLE overrule a given authority. ``requests`` leaves the way a request is sent to
its adapters, so ours hands each to the edge that all connectors share; guarded addresses, TLS, deadlines, the circuit breaker, the
renewal of the token and retries of reads are the same as everywhere. simple-salesforce keeps what it is for: addresses, JSON, refusals.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable

import httpx
import requests
from requests.adapters import BaseAdapter
from simple_salesforce.api import Salesforce

from connectors.http import HttpEdge, harmless, json_object
from connectors.salesforce.settings import SalesforceSettings
from workforce.errors import RetryLater
from workforce.urgency import is_revoking

SENT_HEADERS = ("Content-Type", "Sforce-Query-Options")
TOLD_HEADERS = ("Content-Type", "Date")
USAGE = re.compile(r"api-usage=(\d{1,12})/(\d{1,12})")


def salesforce_over(edge: HttpEdge, settings: SalesforceSettings) -> Salesforce:
    """simple-salesforce on ``edge``. Its session id is a stand-in: the edge puts the token on."""
    session = requests.Session()
    session.trust_env = False  # else .netrc would replace the Authorization header
    session.adapters.clear()
    session.mount("https://", EdgeAdapter(edge, Allowance(settings.reserved_share)))
    return Salesforce(
        instance_url=settings.my_domain_url,
        session_id="held-by-the-edge",
        session=session,
        version=settings.api_version,
        object_pairs_hook=dict,
    )


class Allowance:
    """What the organisation has left of its API requests in 24 hours, as every answer tells. Thread-safe.

    All its applications share them. When less than ``reserved_share`` is left, only revocations are sent, and every few minutes one other
    call, to hear how much there is by then.
    """

    HEARD_AGAIN_SECONDS = 300.0

    def __init__(self, reserved_share: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reserved_share, self._monotonic = reserved_share, monotonic
        self._lock = threading.Lock()
        self._is_short = False
        self._next_at = 0.0

    def respect(self) -> None:
        """Raise ``RetryLater`` (cause ``budget_spent``) where only revocations may be sent."""
        if is_revoking():
            return
        with self._lock:
            rest = self._next_at - self._monotonic()
            if not self._is_short or rest <= 0:
                self._next_at = self._monotonic() + self.HEARD_AGAIN_SECONDS
                return
        message = "salesforce: nearly all API requests of the organisation are used; what is left is kept for revocations"
        raise RetryLater(message, cause="budget_spent", after_seconds=rest)

    def heard(self, told: str | None) -> None:
        """Take in an answer's Sforce-Limit-Info."""
        if usage := USAGE.match(told or ""):
            used, total = map(int, usage.groups())
            with self._lock:
                self._is_short = total - used < total * self._reserved_share


class EdgeAdapter(BaseAdapter):
    """Sends what ``requests`` prepared through an edge. Timeout and certificates are the edge's; those of the call are not looked at.

    The errors of ``workforce.errors`` pass ``requests`` and simple-salesforce untouched.
    """

    def __init__(self, edge: HttpEdge, allowance: Allowance) -> None:
        super().__init__()
        self._edge, self._allowance = edge, allowance

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Send a read with the edge's retries, and everything else once."""
        self._allowance.respect()
        method, url = str(request.method), str(request.url)
        headers = {name: request.headers[name] for name in SENT_HEADERS if name in request.headers}
        is_read = method == "GET"
        call = self._edge.read if is_read else self._edge.write
        answer = call(method, url, content=request.body, headers=headers)
        self._allowance.heard(answer.headers.get("Sforce-Limit-Info"))
        if is_read and answer.is_success:
            with harmless():
                json_object(answer, "salesforce")
        return _as_requests(answer, request)

    def close(self) -> None:
        """Nothing: the edge belongs to the client."""


def _as_requests(answer: httpx.Response, request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = answer.status_code, answer.reason_phrase
    # requests then finds JSON's encoding as httpx does: else a byte order mark would be an error of its own
    response.encoding = None
    response.headers.update({name: answer.headers[name] for name in TOLD_HEADERS if name in answer.headers})
    response.url, response.request = str(request.url), request
    response.raw = io.BytesIO(answer.content)
    return response
