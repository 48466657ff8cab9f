"""A directory, a record sink, an effect log and a clock in memory: stateful, with read lag and faults on demand.

Shipped for tests and for trying out a plan without any system. They enforce what the real ones do: unique logins and markers, seats of
licences, the table of effect transitions, the fences of epoch and tombstone.
"""

from __future__ import annotations

from provisioning.fakes.directory import InMemoryDirectory, PlainDirectory
from provisioning.fakes.effect_log import InMemoryEffectLog, Logged
from provisioning.fakes.records import InMemorySink
from provisioning.fakes.targets import FakeFault, SettableClock

__all__ = ["FakeFault", "InMemoryDirectory", "InMemoryEffectLog", "InMemorySink", "Logged", "PlainDirectory", "SettableClock"]
