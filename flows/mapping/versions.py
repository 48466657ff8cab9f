"""Which version of a mapping counts for whom: the one an engagement is pinned to, else the one promoted last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from config.hub import Hub
from ledger.database import Tx
from ledger.mapping import promotions
from ledger.mapping.promotions import Promotion
from mappings.engine import CompiledMapping
from mappings.registry import MappingRegistry
from workforce.engagement import Engagement
from workforce.errors import Misconfigured
from workforce.lineage import MappingUsed
from workforce.versions import Running


@dataclass(frozen=True, slots=True)
class Versions:
    """One tenant's mappings: the library with its own versions beside it, and what was promoted of them.

    With ``looks_only`` nothing is kept and nobody is held up: for whoever shows what counts, and writes nothing that follows from it.
    """

    hub: Hub
    tenant: str
    looks_only: bool = False

    @property
    def registry(self) -> MappingRegistry:
        """Every version there is."""
        return self.hub.tenant(self.tenant).mappings

    @property
    def today(self) -> date:
        """The tenant's business date now: the day in its own calendar's zone."""
        return self.hub.tenant(self.tenant).document.calendar.local_day(self.hub.clock.now())

    def in_force(self, tx: Tx, mapping_id: str) -> Promotion | None:
        """The promotion that counts for what starts today; ``None`` before the mapping's first use."""
        return promotions.current(tx, mapping_id, self.today)

    def current(self, tx: Tx, mapping_id: str) -> CompiledMapping:
        """The version for what starts today, until the commit. A mapping's first use keeps the library's newest, until another is promoted.

        Raises ``Misconfigured``: no such mapping or version, or its content is not what was promoted.
        """
        if not self.looks_only:
            promotions.keep(tx, mapping_id)
        promoted = self.in_force(tx, mapping_id)
        if promoted is not None:
            return self._unchanged(promoted.mapping_id, promoted.version, promoted.sha256)
        newest = self.registry.get(mapping_id, on=self.today)
        if not self.looks_only:
            promotions.adopt(tx, used(newest), newest.effective_from)
        return newest

    def of(self, tx: Tx, mapping_id: str, engagement: Engagement | None, *, changed: bool = False) -> CompiledMapping:
        """The version for one engagement: its pin, if it has one. ``changed`` says that its source has changed, which ends a drain.

        Raises ``Misconfigured``.
        """
        pinned = engagement.mapping_pins.get(mapping_id) if engagement else None
        if pinned is None or (changed and self._drained(tx, mapping_id, pinned) is not None):
            return self.current(tx, mapping_id)
        return self._unchanged(mapping_id, pinned, promotions.fixed(tx, mapping_id, pinned))

    def drained(self, tx: Tx, pins: dict[str, str]) -> dict[str, str]:
        """Of an engagement's ``pins`` (mapping id → label) those that a change at its source moves, each with the version in force."""
        moved = {mapping_id: self._drained(tx, mapping_id, label) for mapping_id, label in pins.items()}
        return {mapping_id: label for mapping_id, label in moved.items() if label is not None}

    def _drained(self, tx: Tx, mapping_id: str, pinned: str) -> str | None:
        promoted = self.in_force(tx, mapping_id)
        drains = promoted is not None and promoted.version != pinned and promoted.running is Running.DRAIN
        return promoted.version if promoted and drains else None

    def _unchanged(self, mapping_id: str, label: str, sha256: str | None) -> CompiledMapping:
        mapping = self.registry.get(mapping_id, label)
        if sha256 is not None and mapping.content_sha256 != sha256:
            message = (
                f"mapping {mapping_id} {label}: its content is not what was promoted; restore the file and add a new version"
            )
            raise Misconfigured(message, cause="mapping_changed", field="mapping")
        return mapping


def used(mapping: CompiledMapping) -> MappingUsed:
    """The version as lineage and promotions name it."""
    return MappingUsed(mapping_id=mapping.mapping_id, version=mapping.version, sha256=mapping.content_sha256)
