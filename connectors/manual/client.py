"""One system that people look after, by way of its desk."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.manual.settings import ManualSettings
from connectors.manual.tickets import TAKES_AWAY, Content
from connectors.protocols.desks.desk import Desk
from connectors.records.instants import utc_now
from workforce.ports import CheckResult


class ManualClient:
    """One system. Thread-safe; connects on first use. Methods raise the four errors of ``workforce.errors``."""

    def __init__(
        self,
        settings: ManualSettings,
        around: Surroundings = ALONE,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.settings = settings
        self._folders = settings.reached(around)
        self.desk = Desk(settings, self._folders, Content.read, TAKES_AWAY, sleep=sleep, clock=clock)

    @faults_as_result
    def check(self) -> CheckResult:
        """List every folder."""
        waiting = {folder: len(self._folders.entries(folder)) for folder in self.settings.folders()}
        return CheckResult(ok=True, detail=f"{self.settings.system}: {waiting[self.settings.tickets]} tickets wait to be worked")

    def close(self) -> None:
        """Give back the connection."""
        self._folders.close()
