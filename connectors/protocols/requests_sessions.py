"""The road from a library that wants a ``requests.Session`` to the network: an adapter over ``HttpEdge``.

Of itself such a session has no timeout, resolves names without judging the addresses, follows redirects with the token, and lets
REQUESTS_CA_BUNDLE overrule a given authority. ``requests`` leaves the way a request is sent to its adapters, so ours hands each to the
edge that all connectors share; guarded addresses, TLS, deadlines, the circuit breaker, the renewal of the token and retries of reads are
the same as everywhere. The library keeps what it is for: addresses, JSON, refusals.
"""

from __future__ import annotations

import io
from collections.abc import Collection

import httpx
import requests
from requests.adapters import BaseAdapter

from connectors.http import HttpEdge, harmless, json_object

TOLD_HEADERS = ("Content-Type", "Date")
"""Of an answer. Its body is decoded by the edge already, and a place to be redirected to is nobody's to follow."""


def session_over(edge: HttpEdge, system: str, *, sent_headers: Collection[str] = ("Content-Type",)) -> requests.Session:
    """A session on the ``edge`` to ``system``. Of a request's headers ``sent_headers`` go along: the edge has its own, and the credentials."""
    session = requests.Session()
    session.trust_env = False  # else .netrc would replace the Authorization header
    session.adapters.clear()
    session.mount("https://", EdgeAdapter(edge, system, sent_headers))
    return session


class EdgeAdapter(BaseAdapter):
    """Sends what ``requests`` prepared through an edge. Timeout and certificates are the edge's; those of the call are not looked at.

    The errors of ``workforce.errors`` pass ``requests`` untouched.
    """

    def __init__(self, edge: HttpEdge, system: str, sent_headers: Collection[str]) -> None:
        super().__init__()
        self._edge, self._system, self._sent_headers = edge, system, sent_headers

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """Send a read with the edge's retries, and everything else once. Raises ``RetryLater`` for a read that no JSON object answers."""
        method, url = str(request.method), str(request.url)
        headers = {name: request.headers[name] for name in self._sent_headers if name in request.headers}
        is_read = method == "GET"
        call = self._edge.read if is_read else self._edge.write
        answer = call(method, url, content=request.body, headers=headers)
        if is_read and answer.is_success:
            with harmless():
                json_object(answer, self._system)
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
