"""What a sponsor says of an engagement's access when it is reviewed."""

from __future__ import annotations

from enum import StrEnum


class Answer(StrEnum):
    """``keep``: it is still needed. ``remove``: it is not, and the engagement ends."""

    KEEP = "keep"
    REMOVE = "remove"
