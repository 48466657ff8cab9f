"""The Fieldglass settings form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.catalogue import load
from connectors.fieldglass import CONNECTOR
from connectors.fieldglass.sandbox import FieldglassSandbox
from connectors.fieldglass.settings import FieldglassSettings


@pytest.fixture
def form() -> dict[str, Any]:
    return FieldglassSandbox().settings("https://localhost:8443", Path("ca.pem"))


def test_the_catalogue_finds_the_connector() -> None:
    assert load("fieldglass") is CONNECTOR


def test_the_form_of_the_sandbox_is_valid(form: dict[str, Any]) -> None:
    settings = FieldglassSettings.model_validate(form)
    assert settings.layout.id_column == "Work Order ID"
    assert "Closed" in settings.layout.inactive_statuses


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "http://www.fieldglass.net"),
        ("base_url", "https://user:canary@www.fieldglass.net"),
        ("client_id", " "),
        ("client_secret", ""),
        ("application_key", "canary\n"),
        ("application_key", "schlüssel"),
        ("page_size", 0),
        ("overlap_seconds", -1),
        ("timeout_seconds", 0),
        ("layout", {"id_column": ""}),
        ("layout", {"surprise": "x"}),
        ("surprise", "1"),
    ],
)
def test_a_wrong_field_is_named_and_not_quoted(form: dict[str, Any], field: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        FieldglassSettings.model_validate({**form, field: value})
    fault = raised.value.errors(include_input=False)[0]
    assert fault["loc"][0] == field
    assert "canary" not in fault["msg"]


def test_secrets_do_not_show(form: dict[str, Any]) -> None:
    settings = FieldglassSettings.model_validate(form)
    shown = f"{settings!r} {settings.model_dump_json()}"
    assert not any(form[secret] in shown for secret in ("client_secret", "application_key"))
