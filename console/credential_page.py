"""The page of a one-time link: a button, and behind it, once, what a person first signs in with.

``GET`` shows the button and changes nothing, so that scanners of mail open nothing. ``POST`` opens the link: it writes that, and a job, to
the ledger; a worker asks the directory and lays the credential down sealed; the page, which alone has the token, opens it, and it is gone.
"""

from __future__ import annotations

import html
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from config.hub import Hub
from console.tenancy import is_known
from ledger.access import credential_links
from ledger.access.credential_links import CredentialToken
from workforce.access import CredentialKind

WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.2
WAITING_AT_ONCE = 8
"""Threads that may wait for a worker at the same time; the receiver needs the others."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass
class Throttle:
    """At most ``limit`` requests in ``seconds`` from one address, as far as the last ``remembered`` addresses are known."""

    limit: int = 30
    seconds: float = 60.0
    remembered: int = 10_000
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[float, int]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def admits(self, address: str) -> bool:
        """Count one request; whether it may go on."""
        with self._lock:
            now = self.clock()
            began, count = self._seen.pop(address, (now, 0))
            if now - began >= self.seconds:
                began, count = now, 0
            self._seen[address] = (began, count + 1)
            if len(self._seen) > self.remembered:
                del self._seen[next(iter(self._seen))]
            return count < self.limit


@dataclass(frozen=True)
class CredentialPage:
    """The two requests of the page. ``hub`` is asked at each; a link is opened for ``wait_seconds`` at most, then the button is shown again."""

    hub: Callable[[], Hub]
    wait_seconds: float = WAIT_SECONDS
    throttle: Throttle = field(default_factory=Throttle)
    slots: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(WAITING_AT_ONCE))

    def show(self, tenant: str, token: str, address: str) -> HTMLResponse:
        """The button, for a link that can be opened."""
        if not self.throttle.admits(address):
            return _page(429, "Too many requests. Wait a minute, then open the link again.")
        if not self._is_usable(tenant, token):
            return _page(404, _NOT_VALID)
        return _page(200, "This shows once what you first sign in with. Have a place ready to write it down.", button="Show it")

    def open(self, tenant: str, token: str, address: str) -> HTMLResponse:
        """Open the link, wait for the credential, and show it, once."""
        if not self.throttle.admits(address):
            return _page(429, "Too many requests. Wait a minute, then open the link again.")
        if not self._is_usable(tenant, token):
            return _page(404, _NOT_VALID)
        if not self.slots.acquire(blocking=False):
            return _page(503, "Many people are doing this just now. Try again in a moment.", button="Try again")
        try:
            return self._opened(tenant, CredentialToken(token))
        finally:
            self.slots.release()

    def _opened(self, tenant: str, token: CredentialToken) -> HTMLResponse:
        with self.hub().database.transaction(tenant) as tx:
            credential_links.use(tx, token.sha256)  # opened a moment ago by the same press: then its answer is waited for
        deadline = time.monotonic() + self.wait_seconds
        while True:
            with self.hub().database.transaction(tenant) as tx:
                sealed = credential_links.collect(tx, token.sha256)
                link = credential_links.find(tx, token.sha256)
            if sealed is not None:
                return _credential(token.open(sealed))
            if link.used_at is None:
                return _page(503, "This cannot be done just now. Try again in a few minutes.", button="Try again")
            if link.shown_at is not None:
                return _page(404, _NOT_VALID)
            if time.monotonic() >= deadline:
                return _page(202, "This takes longer than usual.", button="Look again")
            time.sleep(LOOK_SECONDS)

    def _is_usable(self, tenant: str, token: str) -> bool:
        """One answer for whatever is wrong: nobody learns which tenants or links there are."""
        if _TOKEN.fullmatch(token) is None or not is_known(self.hub(), tenant):
            return False
        with self.hub().database.transaction(tenant) as tx:
            return credential_links.is_usable(tx, CredentialToken(token).sha256)


_KINDS = {
    CredentialKind.PASSWORD: "Password",
    CredentialKind.TEMPORARY_ACCESS_PASS: "Temporary access pass",
    CredentialKind.ACTIVATION_LINK: "Address at which the account is activated",
}
"""What each kind of credential is called on the page."""


def credential_routes(hub: Callable[[], Hub], page: CredentialPage | None = None) -> APIRouter:
    """``/v1/credentials/{tenant}/{token}``: the page of a one-time link. Whoever has the token is let in, once."""
    page, router = page or CredentialPage(hub), APIRouter(tags=["credentials"])
    path = "/v1/credentials/{tenant}/{token}"

    @router.get(path, response_class=HTMLResponse, summary="Show the button of a one-time link")
    def show(tenant: str, token: str, request: Request) -> HTMLResponse:
        """Changes nothing."""
        return page.show(tenant, token, _address(request))

    @router.post(path, response_class=HTMLResponse, summary="Open a one-time link")
    def open_link(tenant: str, token: str, request: Request) -> HTMLResponse:
        """Shows the first credential, once."""
        return page.open(tenant, token, _address(request))

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _credential(told: str) -> HTMLResponse:
    credential = json.loads(told)
    kind = _KINDS[CredentialKind(credential["kind"])]
    until = f"<p>Valid until {_readable(credential['valid_until'])}.</p>" if credential["valid_until"] else ""
    secret = html.escape(credential["secret"])
    return _page(200, "Write this down now. It is not shown again.", more=f"<p>{kind}:</p><p><code>{secret}</code></p>{until}")


def _readable(instant: str) -> str:
    """``22 November 2026, 12:00 UTC``."""
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def _page(status: int, text: str, *, more: str = "", button: str = "") -> HTMLResponse:
    """A page that nothing keeps, frames, follows or adds to."""
    nonce = secrets.token_urlsafe(16)
    form = f'<form method="post"><button>{html.escape(button)}</button></form>' if button else ""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
        **({"Retry-After": "60"} if status in {429, 503} else {}),
    }
    return HTMLResponse(_HTML.format(nonce=nonce, text=html.escape(text), more=more, form=form), status, headers)


_NOT_VALID = "This link is not valid (any more). Ask whom you work with for another."
_HTML = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>First sign-in</title>
<style nonce="{nonce}">body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}}
code{{font-size:1.4rem;overflow-wrap:anywhere}}button{{font:inherit;padding:.5rem 1.5rem}}</style></head>
<body><h1>First sign-in</h1><p>{text}</p>{more}{form}</body>
</html>
"""
