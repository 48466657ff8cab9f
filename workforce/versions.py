"""What a new version of a mapping means for engagements that are running."""

from __future__ import annotations

from enum import StrEnum


class Running(StrEnum):
    """What becomes of running engagements when a version is put in force.

    ``pin``: each keeps its version to its end. ``migrate``: each moves now. ``drain``: each moves with its next change at the source.
    """

    PIN = "pin"
    MIGRATE = "migrate"
    DRAIN = "drain"
