"""HTTP to the processes of this installation: straight to them, whatever proxies the environment names for the outside world."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.error
import urllib.request
from urllib.parse import urlsplit

ANSWER_SECONDS = 30.0
HEALTH_SECONDS = 3.0
"""A busy server is no missing one."""


def answers(url: str, *, straight: bool = True) -> bool:
    """Whether ``url`` answers 200 within ``HEALTH_SECONDS``. ``straight=False`` goes through the environment's proxies."""
    opener = _straight() if straight else urllib.request.build_opener()
    try:
        with opener.open(url, timeout=HEALTH_SECONDS) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Post ``body``; the status of the answer, whatever it is. Raises ``OSError`` when there is none."""
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - our own receiver
    try:
        with _straight().open(request, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine's loopback."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _straight() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
