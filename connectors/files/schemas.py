"""Which columns the exports have: the header of the newest file."""

from __future__ import annotations

from connectors.files.client import FilesClient
from connectors.records.schemas import closed_object
from workforce.ports import Schemas


class FilesSchemas:
    """The ``RecordSchemas`` capability. Which columns the other system imports is told nowhere."""

    def __init__(self, client: FilesClient) -> None:
        self._client = client

    def read(self) -> Schemas:
        """The columns of the newest export, in the inbox or in the archive; nothing where there is none. Every cell is a text."""
        exports = self._client.drop.and_archived(self._client.drop.present())
        if not exports:
            return Schemas()
        told = self._client.header(exports[-1])
        columns = dict.fromkeys([*told, self._client.settings.layout.ended_at_column])  # which every record has
        return Schemas(source=closed_object({column: {"type": "string"} for column in columns}, required=columns))
