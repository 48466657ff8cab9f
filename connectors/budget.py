"""Rate budgets: what a vendor allows in a span of time, of which a part is kept back for revocations.

A budget is of one process. Where several workers share a vendor's limit, the vendor still says so itself (see ``connectors.http``);
the budget keeps one worker's burst from getting there.
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
