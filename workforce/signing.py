"""Agreements sent out for signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SigningParty:
    """A person who has to sign, in the role that the template gives to that signature."""

    role: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """An agreement to be made from a template. ``fields`` are further custom fields of the envelope, by name.

    ``marker`` is our identity of this request (at most 40 characters): it is written into the envelope and found again there.
    """

    marker: str
    template_id: str
    subject: str
    parties: Sequence[SigningParty]
    fields: Mapping[str, str] = field(default_factory=dict)
