"""A tenant's documents: read when they are right, and every fault reported at once, with file, key and the places searched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from config.hub import Hub
from config.secrets import SecretStore, plain_secrets
from config.settings import Settings
from config.tenant import Fault, TenantConfig, read_tenant
from connectors import catalogue
from connectors.contract import ConnectorSettings
from connectors.docusign.sandbox import DocuSignSandbox
from connectors.docusign.settings import DocuSignSettings
from tests.tenant_documents import PACKAGE, SYSTEMS, Content, a_secret, as_files, tenant_content
from workforce.errors import Misconfigured


@pytest.fixture(scope="module")
def docusign() -> DocuSignSandbox:
    return DocuSignSandbox()


@pytest.fixture
def content(docusign: DocuSignSandbox, tmp_path: Path) -> Content:
    return tenant_content(docusign, tmp_path)


@pytest.fixture
def secrets(tmp_path: Path) -> SecretStore:
    return SecretStore(tmp_path)


def read(files: Mapping[str, str], secrets: SecretStore) -> TenantConfig:
    config, faults = read_tenant(files, secrets)
    assert faults == []
    assert config is not None
    return config


def faults_of(content: Mapping[str, Any], secrets: SecretStore) -> list[Fault]:
    config, faults = read_tenant(as_files(content), secrets)
    assert config is None
    return faults


def where(faults: list[Fault]) -> list[tuple[str, str]]:
    return [(fault.file, fault.key) for fault in faults]


def test_documents_without_a_fault_become_a_configuration(content: Content, secrets: SecretStore) -> None:
    config = read(as_files(content), secrets)
    assert sorted(config.instances) == ["bamboohr", "docusign", "entra", "fieldglass", "gusto", "ldap"]
    assert config.instance("entra").connector.key == "msgraph"
    assert [(each.package, each.version) for each in config.access.packages] == [("software-engineer", 1)]
    assert config.document.calendar.calendar_id == "us-federal"


def test_an_instance_that_is_not_there_names_those_that_are(content: Content, secrets: SecretStore) -> None:
    with pytest.raises(Misconfigured, match="configured: bamboohr, docusign, entra, fieldglass, gusto, ldap") as raised:
        read(as_files(content), secrets).instance("okta")
    assert (raised.value.cause, raised.value.field) == ("unknown_instance", "okta")


def test_secrets_are_filled_in_from_files_and_the_environment(
    content: Content, secrets: SecretStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = content["connectors/docusign.yaml"]["settings"]
    assert settings["private_key"] == {"secret": f"file:{tmp_path / 'docusign-private_key'}"}
    monkeypatch.setenv("ACME_HMAC", "an-hmac-key-of-docusign")
    settings["connect_hmac_keys"] = [{"secret": "env:ACME_HMAC"}]
    filled = read(as_files(content), secrets).instance("docusign").settings
    assert isinstance(filled, DocuSignSettings)
    assert [key.get_secret_value() for key in filled.connect_hmac_keys] == ["an-hmac-key-of-docusign"]
    assert "PRIVATE KEY" in filled.private_key.get_secret_value()


def test_other_files_beside_the_documents_are_left_alone(content: Content, secrets: SecretStore) -> None:
    read({**as_files(content), "README.md": "# Acme", "connectors/notes.txt": "call them"}, secrets)


def test_no_documents_at_all_are_two_faults(secrets: SecretStore) -> None:
    faults = faults_of({}, secrets)
    assert [str(fault) for fault in faults] == [
        "tenant.yaml: is missing; it names the tenant and its systems",
        "access/: no access package; nobody could be given access. Searched: access/*.yaml, access/*/*.yaml",
    ]


def test_an_unknown_connector_names_those_that_exist(content: Content, secrets: SecretStore) -> None:
    content["connectors/gusto.yaml"]["connector"] = "gustoo"
    (fault,) = faults_of(content, secrets)
    assert (fault.file, fault.key) == ("connectors/gusto.yaml", "connector")
    assert f"known connectors: {', '.join(catalogue.known_keys())}" in fault.message


@pytest.mark.parametrize(
    ("file", "field", "value", "key"),
    [
        ("docusign", "timeout_seconds", 0, "settings.timeout_seconds"),
        ("fieldglass", "base_url", "http://fieldglass.example", "settings.base_url"),
        ("fieldglass", "layout", {"id_column": ""}, "settings.layout.id_column"),
        ("bamboohr", "subdomain", "acme", "settings.subdomain"),
        ("gusto", "company_uuid", "acme", "settings.company_uuid"),
        ("gusto", "client_id", None, "settings"),
        ("ldap", "people_base", "people", "settings.people_base"),
        ("ldap", "people_base", "ou=people,dc=elsewhere", "settings"),
        ("entra", "tenant_id", None, "settings.tenant_id"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(
    content: Content, secrets: SecretStore, file: str, field: str, value: object, key: str
) -> None:
    content[f"connectors/{file}.yaml"]["settings"][field] = value
    assert where(faults_of(content, secrets)) == [(f"connectors/{file}.yaml", key)]


def test_a_missing_secret_does_not_hide_the_other_faults_of_its_file(
    content: Content, secrets: SecretStore, tmp_path: Path
) -> None:
    settings = content["connectors/docusign.yaml"]["settings"]
    settings["private_key"] = {"secret": "env:NOT_SET_ANYWHERE"}
    settings["connect_hmac_keys"] = [{"secret": "file:hmac"}, a_secret(tmp_path, "short", "short")]
    settings["timeout_seconds"] = -1
    assert sorted(where(faults_of(content, secrets))) == [
        ("connectors/docusign.yaml", "settings.connect_hmac_keys[0]"),
        ("connectors/docusign.yaml", "settings.connect_hmac_keys[1]"),
        ("connectors/docusign.yaml", "settings.private_key"),
        ("connectors/docusign.yaml", "settings.timeout_seconds"),
    ]


def test_a_missing_secret_names_the_place_that_was_searched(content: Content, secrets: SecretStore, tmp_path: Path) -> None:
    content["connectors/bamboohr.yaml"]["settings"]["api_key"] = {"secret": "env:NOT_SET_ANYWHERE"}
    content["connectors/ldap.yaml"]["settings"]["bind_password"] = {"secret": "file:ldap/password"}
    in_environment, in_file = faults_of(content, secrets)
    assert "environment variable NOT_SET_ANYWHERE is not set" in in_environment.message
    assert f"searched: {tmp_path / 'ldap/password'}" in in_file.message


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\t- x", "due: 2026-13-45", "{secret: x}: y: z", "!!python/object:os.system {}", "a: \x07"]
)
def test_what_is_not_yaml_is_one_fault(content: Content, secrets: SecretStore, text: str) -> None:
    config, faults = read_tenant({**as_files(content), "connectors/gusto.yaml": text}, secrets)
    assert (config, where(faults)) == (None, [("connectors/gusto.yaml", "")])
    assert faults[0].message.startswith("not readable as YAML: ")
    assert "\n" not in faults[0].message
    assert "unicode string" not in faults[0].message


@pytest.mark.parametrize(
    ("text", "there"),
    [("", "is empty"), ("# a remark\n", "is empty"), ("- a\n", "holds one list"), ("word\n", "holds one str")],
)
def test_a_file_that_says_nothing_is_told_what_to_begin_with(
    content: Content, secrets: SecretStore, text: str, there: str
) -> None:
    config, faults = read_tenant({**as_files(content), "connectors/gusto.yaml": text}, secrets)
    assert (config, where(faults)) == (None, [("connectors/gusto.yaml", "")])
    assert faults[0].message.startswith(f"{there}; write key: value lines, first connector")


def test_a_day_that_does_not_exist_is_told_with_its_line(content: Content, secrets: SecretStore) -> None:
    _, faults = read_tenant({**as_files(content), "connectors/gusto.yaml": "connector: gusto\ndue: 2026-02-30\n"}, secrets)
    assert "(2026-02-30 in line 2)" in faults[0].message


@pytest.mark.parametrize("text", ["", "[]", "just text", "connector: [gusto]", "connector: gusto\nsettings: 5"])
def test_a_document_of_another_shape_is_a_fault(content: Content, secrets: SecretStore, text: str) -> None:
    config, faults = read_tenant({**as_files(content), "connectors/gusto.yaml": text}, secrets)
    assert config is None
    assert {fault.file for fault in faults} == {"connectors/gusto.yaml"}


def test_parts_that_name_no_instance_name_the_file_that_was_searched(content: Content, secrets: SecretStore) -> None:
    content["tenant.yaml"]["systems"] = {**SYSTEMS, "vms": "beeline", "directories": ["entra", "ldap", "okta"]}
    faults = faults_of(content, secrets)
    assert where(faults) == [("tenant.yaml", "systems.vms"), ("tenant.yaml", "systems.directories[2]")]
    assert faults[0].message == "no instance 'beeline'; searched: connectors/beeline.yaml"


def test_an_instance_that_cannot_play_its_part_is_named_with_what_it_lacks(content: Content, secrets: SecretStore) -> None:
    content["tenant.yaml"]["systems"] = {**SYSTEMS, "vms": "gusto", "payroll": "ldap"}
    faults = faults_of(content, secrets)
    assert where(faults) == [("tenant.yaml", "systems.vms"), ("tenant.yaml", "systems.payroll")]
    assert "which has no source capability" in faults[0].message
    assert "which has no sink capability" in faults[1].message


def test_a_package_for_an_unknown_directory_names_the_known_ones(content: Content, secrets: SecretStore) -> None:
    content["access/software-engineer.yaml"]["directories"] = {"okta": {"groups": ["g"]}, "ldap": {"groups": ["cn=g"]}}
    (fault,) = faults_of(content, secrets)
    assert (fault.file, fault.key) == ("access/software-engineer.yaml", "directories.okta")
    assert "(entra, ldap)" in fault.message


def test_a_version_that_is_there_twice_is_named_with_both_files(content: Content, secrets: SecretStore) -> None:
    content["access/zz.yaml"] = PACKAGE
    (fault,) = faults_of(content, secrets)
    assert (fault.file, fault.key) == ("access/zz.yaml", "version")
    assert "access/software-engineer.yaml" in fault.message


def test_several_packages_and_versions_for_one_role_stand_side_by_side(content: Content, secrets: SecretStore) -> None:
    content["access/software-engineer/v0002.yaml"] = {**PACKAGE, "version": 2}
    content["access/berlin.yaml"] = {**PACKAGE, "package": "berlin", "locations": ["Berlin"]}
    found = [(each.package, each.version) for each in read(as_files(content), secrets).access.packages]
    assert found == [("berlin", 1), ("software-engineer", 1), ("software-engineer", 2)]


@pytest.mark.parametrize(
    ("file", "key"), [("access/software-engineer/v0003.yaml", "version"), ("access/engineers/v0002.yaml", "package")]
)
def test_a_versions_file_is_named_for_what_it_is(content: Content, secrets: SecretStore, file: str, key: str) -> None:
    content[file] = {**PACKAGE, "version": 2}
    assert where(faults_of(content, secrets)) == [(file, key)]


@pytest.mark.parametrize(
    ("calendar", "key"),
    [
        ({"weekdays": [7]}, "calendar.weekdays"),
        ({"opens": "17:00", "closes": "09:00"}, "calendar.closes"),
        ({"time_zone": "Mars/Olympus"}, "calendar.time_zone"),
        ({"holiday_country": "XX"}, "calendar.holiday_country"),
        ({"opens": 540}, "calendar.opens"),
        ({"surprise": 1}, "calendar.surprise"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_named_by_its_field(
    content: Content, secrets: SecretStore, calendar: object, key: str
) -> None:
    content["tenant.yaml"]["calendar"] = calendar
    assert where(faults_of(content, secrets)) == [("tenant.yaml", key)]


@pytest.mark.parametrize("file", ["conectors/gusto.yaml", "connectors/old/gusto.yaml", "gusto.yaml", "tenants/tenant.yaml"])
def test_a_document_in_an_unknown_place_is_a_fault_and_not_ignored(content: Content, secrets: SecretStore, file: str) -> None:
    content[file] = content["connectors/gusto.yaml"]
    (fault,) = faults_of(content, secrets)
    assert fault.file == file
    assert "connectors/<instance>.yaml" in fault.message


def test_every_fault_of_every_file_is_reported_at_once(content: Content, secrets: SecretStore) -> None:
    content["tenant.yaml"].update(
        tenant="Acme Corp", calendar={"weekdays": []}, systems={**SYSTEMS, "hris": "workday", "payroll": "ldap"}
    )
    content["connectors/docusign.yaml"]["settings"].update(account_id="none", timeout_seconds=0)
    content["connectors/fieldglass.yaml"]["settings"]["client_secret"] = {"secret": "env:NOT_SET_ANYWHERE"}
    content["connectors/gusto.yaml"] = {"connector": "gustoo"}
    content["access/software-engineer.yaml"].update(version=0)
    content["access/designer.yaml"] = {**PACKAGE, "directories": {"okta": {"groups": ["g"]}}}
    assert sorted(where(faults_of(content, secrets))) == [
        ("access/designer.yaml", "directories.okta"),
        ("access/software-engineer.yaml", "version"),
        ("connectors/docusign.yaml", "settings.account_id"),
        ("connectors/docusign.yaml", "settings.timeout_seconds"),
        ("connectors/fieldglass.yaml", "settings.client_secret"),
        ("connectors/gusto.yaml", "connector"),
        ("tenant.yaml", "calendar.weekdays"),
        ("tenant.yaml", "systems.hris"),
        ("tenant.yaml", "systems.payroll"),
        ("tenant.yaml", "tenant"),
    ]


# Secrets


PLAIN = [
    ("docusign", "private_key", "canary", "settings.private_key"),
    ("docusign", "connect_hmac_keys", ["canary-canary-canary"], "settings.connect_hmac_keys[0]"),
    ("docusign", "connect_hmac_keys", [{"secret": "env:ACME_HMAC"}, "canary"], "settings.connect_hmac_keys[1]"),
    ("fieldglass", "client_secret", "canary", "settings.client_secret"),
    ("fieldglass", "application_key", "canary\n", "settings.application_key"),
    ("bamboohr", "api_key", 4711, "settings.api_key"),
    ("bamboohr", "webhook_private_keys", ["canary"], "settings.webhook_private_keys[0]"),
    ("gusto", "access_token", "canary", "settings.access_token"),
    ("gusto", "webhook_verification_tokens", ["canary"], "settings.webhook_verification_tokens[0]"),
    ("entra", "client_secret", {"secret": "env:ACME_HMAC", "was": "canary"}, "settings.client_secret"),
    ("ldap", "bind_password", "canary", "settings.bind_password"),
]


@pytest.mark.parametrize(("file", "field", "value", "key"), PLAIN)
def test_a_secret_in_plain_text_is_a_fault_that_does_not_show_it(
    content: Content, secrets: SecretStore, monkeypatch: pytest.MonkeyPatch, file: str, field: str, value: object, key: str
) -> None:
    monkeypatch.setenv("ACME_HMAC", "an-hmac-key-of-docusign")
    content[f"connectors/{file}.yaml"]["settings"][field] = value
    (fault,) = faults_of(content, secrets)
    assert (fault.file, fault.key) == (f"connectors/{file}.yaml", key)
    assert fault.message == (
        'write a reference such as {secret: "env:NAME"} or {secret: "file:name"}; plain secrets would be stored in the ledger'
    )


def test_a_plain_secret_is_reported_together_with_the_other_faults_of_its_file(content: Content, secrets: SecretStore) -> None:
    content["connectors/ldap.yaml"]["settings"].update(bind_password="canary", people_base="people", timeout_seconds=0)
    assert sorted(key for _, key in where(faults_of(content, secrets))) == [
        "settings.bind_password",
        "settings.people_base",
        "settings.timeout_seconds",
    ]


def test_a_plain_secret_in_a_nested_form_is_found_wherever_it_stands() -> None:
    class Key(ConnectorSettings):
        value: SecretStr
        label: str = ""

    class Form(ConnectorSettings):
        first: Key | None = None
        others: tuple[Key, ...] = ()
        named: dict[str, SecretStr]
        pair: tuple[str, SecretStr] = ("", SecretStr(""))

    reference = {"secret": "env:X"}
    good = {"first": None, "others": [{"value": reference}], "named": {"a": reference}, "pair": ["x", reference]}
    bad = {"first": {"value": "c", "label": "l"}, "others": [{"value": reference}, {"value": "c"}], "named": {"a": "c"}}
    assert plain_secrets(Form, good, "settings") == []
    assert plain_secrets(Form, {**bad, "pair": ["x", "c"], "unknown": "c"}, "settings") == [
        "settings.first.value",
        "settings.others[1].value",
        "settings.named.a",
        "settings.pair[1]",
    ]


def test_no_fault_quotes_a_secret(content: Content, secrets: SecretStore, tmp_path: Path) -> None:
    canary = a_secret(tmp_path, "unusable", "canary\nline")
    content["connectors/docusign.yaml"]["settings"].update(private_key=canary, connect_hmac_keys=["canary", canary])
    content["connectors/fieldglass.yaml"]["settings"]["application_key"] = canary
    faults = faults_of(content, secrets)
    assert sorted(key for _, key in where(faults)) == [
        "settings.application_key",
        "settings.connect_hmac_keys[0]",
        "settings.connect_hmac_keys[1]",
        "settings.private_key",
    ]
    assert not any("canary" in str(fault) for fault in faults)


@given(st.dictionaries(st.sampled_from(["tenant.yaml", "connectors/a.yaml", "access/a.yaml", "x/y.yaml"]), st.text(max_size=60)))
def test_whatever_the_files_hold_the_answer_is_a_list_of_faults(files: dict[str, str]) -> None:
    config, faults = read_tenant(files, SecretStore(Path("nowhere")))
    assert config is None
    assert faults


def test_each_tenant_has_folders_of_its_own(tmp_path: Path) -> None:
    hub = Hub(Settings(data_dir=tmp_path, file_folders="/srv/a:/srv/b"), None, None, SecretStore(tmp_path))  # type: ignore[arg-type]
    assert hub.surroundings("acme", "vms").folders == (Path("/srv/a/acme"), Path("/srv/b/acme"))
    assert hub.surroundings("acme", "vms").network.internal == ()
