"""What a reading or changing command works on: the hub of this installation and the tenant that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cli.installation import open_hub
from cli.output import errors_explained, load_settings
from cli.reading import the_tenant
from config.hub import Hub


@contextmanager
def of_tenant(tenant: str | None, *, as_json: bool) -> Iterator[tuple[Hub, str]]:
    """The hub and the tenant's name, for one command; errors are explained and end it."""
    settings = load_settings(as_json=as_json)
    with errors_explained(as_json=as_json), open_hub(settings) as hub:
        yield hub, the_tenant(hub, tenant)
