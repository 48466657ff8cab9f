"""The settings form of the manual connector: where its desk is, what people give, and how long they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from connectors.protocols.desks.settings import DeskSettings

Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Told = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class ManualSettings(DeskSettings):
    """One system that people look after."""

    system: Label = Field(description="the system as its people call it, for example: Badge office; every ticket names it")
    gives: Mapping[Label, Told] = Field(
        default={},
        description="what can be given besides the account, and how, for example badge:building-7: hand out at the desk, log the number; "
        "empty: anything",
    )
    asks: Told = Field(
        default="the number of the change, or where a photo or a screenshot of it is kept",
        description="what evidence a ticket asks for",
    )
    grant_within_hours: float = Field(default=24.0, gt=0, le=2000, description="how long people have to give")
    revoke_within_hours: float = Field(default=1.0, gt=0, le=2000, description="how long people have to take away")
    ask_again_after_hours: float = Field(
        default=24.0, ge=0, le=10_000, description="a refusal to give stands for this long; then it may be asked for anew"
    )
    keeps_expiry: bool = Field(
        default=True, description="whether the system holds the end of an account, which people have to enter"
    )
