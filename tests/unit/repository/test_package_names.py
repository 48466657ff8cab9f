"""Our top-level packages keep the names that the owner gave them, so no dependency may install one of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import packages_distributions

OURS = {"workforce", "connectors", "mappings", "provisioning", "compliance", "ledger", "config", "flows", "console", "cli"}


def collisions(owners: Mapping[str, list[str]]) -> dict[str, set[str]]:
    return {name: others for name in OURS if (others := set(owners.get(name, ())) - {"stint-hub"})}


def test_no_installed_distribution_brings_a_package_of_our_name() -> None:
    assert collisions(packages_distributions()) == {}


def test_a_collision_would_be_seen() -> None:
    assert collisions({"cli": ["stint-hub", "other"], "yaml": ["PyYAML"]}) == {"cli": {"other"}}
