"""Rate budgets: what a vendor allows in a span of time, of which a part is kept back for revocations.

A ``Budget`` is published, and counted here, by one process. Where several workers share a vendor's limit, the vendor still says so itself
(see ``connectors.http``); the budget keeps one worker's burst from getting there. An ``Allowance`` is one of which the vendor tells what is
left, whoever has used the rest.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from workforce.errors import RetryLater
from workforce.urgency import is_revoking

RESERVED_SHARE = 0.2


def one_call(request: httpx.Request) -> float:
    """Each request costs one."""
    del request
    return 1.0


def not_told(response: httpx.Response) -> float | None:
    """No answer tells what is left."""
    del response
    return None


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``units`` within any ``seconds``. ``cost`` tells the units of a request; nothing for those that do not count."""

    units: float
    seconds: float
    cost: Callable[[httpx.Request], float] = one_call


class Spending:
    """What was spent of one budget. Thread-safe. Revocations may spend it all, other work all but a fifth."""

    def __init__(self, system: str, budget: Budget, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._system, self._budget, self._monotonic = system, budget, monotonic
        self._lock = threading.Lock()
        self._spent: deque[tuple[float, float]] = deque()
        self._total = 0.0

    def wait_seconds(self, request: httpx.Request) -> float:
        """Seconds until ``request`` may be sent; 0 means now, and then it is spent."""
        cost = self._budget.cost(request)
        if cost <= 0:
            return 0.0
        limit = self._budget.units * (1.0 if is_revoking() else 1.0 - RESERVED_SHARE)
        with self._lock:
            now = self._monotonic()
            self._forget(now - self._budget.seconds)
            if not self._spent or self._total + cost <= limit:
                self._spent.append((now, cost))
                self._total += cost
                return 0.0
            return self._room_at(self._total + cost - limit) + self._budget.seconds - now

    def _forget(self, before: float) -> None:
        while self._spent and self._spent[0][0] <= before:
            self._total -= self._spent.popleft()[1]

    def _room_at(self, needed: float) -> float:
        """When the spending was done that has to be forgotten before ``needed`` units are free."""
        freed = 0.0
        for at, cost in self._spent:
            freed += cost
            if freed >= needed:
                return at
        return self._spent[-1][0]


class Budgets:
    """All budgets of one instance. A short wait is waited for; a longer one goes back to the queue."""

    PATIENCE_SECONDS = 2.0

    def __init__(
        self,
        system: str,
        budgets: Sequence[Budget],
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._system, self._sleep, self._monotonic = system, sleep, monotonic
        self._all = [Spending(system, budget, monotonic) for budget in budgets]

    def spend(self, request: httpx.Request) -> None:
        """Wait for a free place. Raises ``RetryLater`` (cause ``budget_spent``) when that takes longer than two seconds."""
        until = self._monotonic() + self.PATIENCE_SECONDS
        for spending in self._all:
            while (wait := spending.wait_seconds(request)) > 0:
                if self._monotonic() + wait > until:
                    message = f"{self._system}: its rate limit leaves no room for another {wait:.0f} s"
                    raise RetryLater(message, cause="budget_spent", after_seconds=wait)
                self._sleep(wait)


@dataclass(frozen=True, slots=True)
class Allowance:
    """``calls`` of which served answers tell, by ``left``, what share is left: ``None`` for an answer that does not tell.

    When it is less than ``reserved_share``, only revocations are sent, and every few minutes one other call, to hear how much there is by
    then.
    """

    calls: str = "calls"
    left: Callable[[httpx.Response], float | None] = not_told
    reserved_share: float = RESERVED_SHARE


NOTHING_TOLD = Allowance()


class Remainder:
    """What is left of an allowance. Thread-safe."""

    HEARD_AGAIN_SECONDS = 300.0

    def __init__(self, system: str, allowance: Allowance, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._system, self._allowance, self._monotonic = system, allowance, monotonic
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
        message = f"{self._system}: nearly all {self._allowance.calls} are used; what is left is kept for revocations"
        raise RetryLater(message, cause="budget_spent", after_seconds=rest)

    def heard(self, response: httpx.Response) -> None:
        """Take in what an answer tells."""
        left = self._allowance.left(response)
        if left is not None:
            with self._lock:
                self._is_short = left < self._allowance.reserved_share
