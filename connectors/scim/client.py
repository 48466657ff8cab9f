"""One SCIM 2.0 service provider: its credentials, and whether it can do what a directory needs."""

from __future__ import annotations

from connectors.contract import ALONE, Surroundings, faults_as_result
from connectors.http import HttpEdge
from connectors.protocols.scim_resources import Group, User, equals, inside
from connectors.protocols.scim_server import MEDIA_TYPE, SCIM, ResourceServer
from connectors.records.paging import Position
from connectors.scim.credentials import Credentials
from connectors.scim.records import MARKER_PATHS
from connectors.scim.settings import ScimSettings
from workforce.errors import Refused
from workforce.markers import new_marker
from workforce.ports import CheckResult


class ScimClient:
    """One service provider. Thread-safe; connects on first use."""

    def __init__(self, settings: ScimSettings, around: Surroundings = ALONE) -> None:
        self.settings, reach = settings, around.reach(settings)
        self.marker_path = MARKER_PATHS[settings.marker_attribute]
        self._credentials = Credentials(settings, reach)
        self._edge = HttpEdge(
            settings.base_url,
            SCIM,
            authorize=self._credentials.authorize,
            renew=self._credentials.renew,
            headers={"Accept": f"{MEDIA_TYPE}, application/json"},
            reach=reach,
        )
        self.resources = ResourceServer(self._edge, page_size=settings.page_size, max_pages=settings.max_pages)

    @faults_as_result
    def check(self) -> CheckResult:
        """Read what the target says it can, and look for a marker that nobody has. Raises nothing."""
        fault = self._fault()
        told = f"scim: {self.settings.base_url} answers, and finds by {self.settings.marker_attribute}"
        return CheckResult(ok=fault is None, detail=fault or told)

    def close(self) -> None:
        """Close the pooled connections."""
        self._edge.close()
        self._credentials.close()

    def _fault(self) -> str | None:
        told, nobody = self.resources.features(), new_marker()
        if (
            inside(told, "filter", "supported") is False
            or self.resources.page(User, Position(), equals(self.marker_path, nobody)).resources
        ):
            return "scim: the target does not filter, so nobody could be found by marker or userName"
        if self.settings.patch and inside(told, "patch", "supported") is False:
            return "scim: the target has no PATCH; set patch to false"
        try:
            held = self.resources.page(Group, Position(), equals("members.value", nobody), excludedAttributes="members").resources
        except Refused:
            return None  # a target that shows groups on its Users is not asked for Groups; where it is, the refusal is told then
        return "scim: the target does not filter Groups by member, so memberships cannot be told" if held else None
