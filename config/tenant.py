"""A tenant's configuration: versioned documents (YAML) that become connector instances, access packages and a process set-up.

``tenant.yaml`` · ``connectors/<instance>.yaml`` · ``access/<package>.yaml`` or ``access/<package>/v0002.yaml``. Every fault is reported at once, with file and key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from compliance.calendar import BusinessCalendar
from config.mapping_ends import Ends, ends_with, mapping_ends, require_object_schema
from config.secrets import REFERENCE_NEEDED, SecretStore, plain_secrets
from connectors import catalogue
from connectors.contract import ALONE, Connector, Instance, Surroundings
from mappings.registry import MappingRegistry
from provisioning.packages import AccessCatalogue, AccessPackage
from provisioning.policies import AccessPolicy
from workforce.errors import HubError, Misconfigured

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
OwnedField = Annotated[str, StringConstraints(pattern=r"^(worker|terms|external)(\.[a-z_]+)*$")]
SurroundingsOf = Callable[[str], Surroundings]
"""The surroundings of the instance of that name."""
M = TypeVar("M", bound=BaseModel)


class Systems(BaseModel):
    """Which connector instance plays which part in the tenant's processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    esign: str
    vms: str
    hris: str
    payroll: str
    directories: Annotated[tuple[str, ...], Field(min_length=1)]

    def parts(self) -> list[tuple[str, str, str]]:
        """(key, instance, needed capability) of every part."""
        fixed = [("esign", self.esign, "signing"), ("vms", self.vms, "source")]
        fixed += [("hris", self.hris, "sink"), ("payroll", self.payroll, "sink")]
        return fixed + [(f"directories[{i}]", name, "directory") for i, name in enumerate(self.directories)]


class MappingRules(BaseModel):
    """Who may change which version of a mapping counts. With ``second_person``, whoever proposes it cannot approve it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    second_person: bool = False


class Notifications(BaseModel):
    """Who is told what needs a person: the instance that sends, and addresses in its own terms (a channel, an e-mail address)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instance: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]


class TenantDocument(BaseModel):
    """``tenant.yaml``.

    ``ownership`` is canonical field (``worker.phone``, or ``worker`` for all of it) → the part of ``systems`` whose word counts for it. What
    is not named belongs to the VMS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Slug
    name: str
    email_domain: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$")]
    systems: Systems
    calendar: BusinessCalendar = Field(default_factory=BusinessCalendar)
    mappings: MappingRules = Field(default_factory=MappingRules)
    access: AccessPolicy = Field(default_factory=AccessPolicy)
    notifications: Notifications | None = None
    ownership: dict[OwnedField, Literal["vms", "hris", "payroll"]] = Field(default_factory=dict)

    @field_validator("calendar", mode="wrap")
    @classmethod
    def _calendar_makes_sense(cls, value: Any, make: ValidatorFunctionWrapHandler) -> Any:
        """A rule of the domain that is broken is one fault of the document among others."""
        try:
            return make(value)
        except HubError as error:
            raise PydanticCustomError("calendar", "{text}", {"text": str(error), "field": error.field}) from None


class InstanceDocument(BaseModel):
    """``connectors/<instance>.yaml``. ``settings`` is the connector's own form, with secrets as references."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connector: str
    settings: dict[str, Any] = Field(default_factory=dict)


class SchemaDocument(BaseModel):
    """``schemas/<instance>.yaml``: the fields of one system as this company has them, as JSON Schemas of what is read and written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: dict[str, Any] | None = None
    target: dict[str, Any] | None = None

    @field_validator("source", "target")
    @classmethod
    def _is_a_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            require_object_schema(value)
        return value


@dataclass(frozen=True, slots=True)
class Fault:
    """One configuration fault: where, which key, what and what to do."""

    file: str
    key: str
    message: str

    def __str__(self) -> str:
        """One line for a terminal."""
        return f"{self.file}: {self.key}: {self.message}" if self.key else f"{self.file}: {self.message}"


@dataclass(frozen=True)
class TenantConfig:
    """A tenant's configuration, ready for use."""

    document: TenantDocument
    instances: Mapping[str, Instance]
    access: AccessCatalogue
    mappings: MappingRegistry = field(default_factory=MappingRegistry.shipped)
    """The shipped library, with the tenant's own versions beside it."""
    ends: Callable[[str], Ends] = mapping_ends
    """The schemas of a mapping's source and target, as this company's systems have them."""
    faults: tuple[Fault, ...] = ()
    """What keeps single instances or packages from use; the others work."""

    def instance(self, name: str) -> Instance:
        """The connector instance called ``name``. Raises ``Misconfigured`` with its own faults, or naming those there are."""
        own = [str(fault) for fault in self.faults if fault.file == f"connectors/{name}.yaml"]
        if name not in self.instances and own:
            raise Misconfigured("; ".join(own), cause="faulty_instance", field=name)
        if name not in self.instances:
            known = ", ".join(sorted(self.instances)) or "none"
            raise Misconfigured(f"no connector instance {name!r}; configured: {known}", cause="unknown_instance", field=name)
        return self.instances[name]


def _no_such_day(text: str) -> str:
    """The first day in ``text`` that is in no calendar, with its line: YAML tells neither."""
    for number, line in enumerate(text.splitlines(), start=1):
        for written in re.findall(r"\b\d{4}-\d\d?-\d\d?\b", line):
            try:
                date(*map(int, written.split("-")))
            except ValueError:
                return f" ({written} in line {number})"
    return ""


@dataclass
class _Reading:
    """Collects what can be read and every fault on the way."""

    files: Mapping[str, str]
    secrets: SecretStore
    around: SurroundingsOf
    faults: list[Fault] = field(default_factory=list)

    def fault(self, file: str, key: str, message: str) -> None:
        self.faults.append(Fault(file, key, message))

    def document(self, file: str, model: type[M]) -> M | None:
        try:
            content = yaml.safe_load(self.files[file])
        except (yaml.YAMLError, ValueError) as error:  # a ValueError is a date that does not exist
            said = " ".join(str(error).split()).replace('"<unicode string>", ', "")
            self.fault(file, "", f"not readable as YAML: {said}{_no_such_day(self.files[file])}")
            return None
        if not isinstance(content, dict):
            there = "is empty" if content is None else f"holds one {type(content).__name__}"
            self.fault(file, "", f"{there}; write key: value lines, first {', '.join(_needed(model))}")
            return None
        return self.valid(file, model, content, "")

    def plain(self, file: str) -> Mapping[str, Any]:
        """What a document says, as far as it can be read; its faults are told elsewhere."""
        try:
            content = yaml.safe_load(self.files[file])
        except (yaml.YAMLError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def valid(self, file: str, model: type[M], content: Any, prefix: str, known: Mapping[str, str] | None = None) -> M | None:
        """``content`` as ``model``. ``known`` are faults (key → message) that are there already; nothing is added to their keys."""
        known = known or {}
        for key, message in known.items():
            self.fault(file, key, message)
        try:
            return model.model_validate(content)
        except ValidationError as error:
            found = [(_key_of(item, prefix), item["msg"]) for item in error.errors(include_input=False, include_url=False)]
            named = [*known, *(key for key, _ in found)]
            for key, message in found:
                if key not in known and not any(other.startswith(f"{key}[") for other in named):  # too short for want of an item
                    self.fault(file, key, message)
        except HubError as error:  # a rule of the domain, named by itself
            self.fault(file, _key(prefix, error.field or ""), str(error))
        return None


def _needed(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if field.is_required()]


def _key_of(item: ErrorDetails, prefix: str) -> str:
    return _key(prefix, *item["loc"], item.get("ctx", {}).get("field", ""))


def _key(*parts: str | int) -> str:
    """``systems.directories[0]`` from the parts of a pydantic location."""
    joined = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts if part != "")
    return joined.removeprefix(".") or "(document)"


def read_tenant(
    files: Mapping[str, str], secrets: SecretStore, around: SurroundingsOf = lambda _name: ALONE
) -> tuple[TenantConfig | None, list[Fault]]:
    """The configuration in ``files`` (path → text), and every fault in it. No configuration while there are faults.

    Without ``around``, no instance reaches an internal host or keeps a changing credential beyond this process: good for looking, not
    for working.
    """
    config = usable_tenant(files, secrets, around)
    if isinstance(config, TenantConfig):
        return (None if config.faults else config), list(config.faults)
    return None, config


def usable_tenant(
    files: Mapping[str, str], secrets: SecretStore, around: SurroundingsOf = lambda _name: ALONE
) -> TenantConfig | list[Fault]:
    """As much of the configuration as can be used: one system's missing secret must not stop a revocation in the others.

    The faults alone where ``tenant.yaml`` itself cannot be used.
    """
    reading = _Reading(files, secrets, around)
    document = _tenant_document(reading)
    instances, packages = _instances_and_packages(reading)
    systems = document.systems if document else _systems_alone(files.get("tenant.yaml", ""))
    if systems is not None:
        _check_parts(reading, systems, instances)
    _check_packages(reading, systems, packages)
    ends = ends_with(_own_schemas(reading))
    mappings = _mappings(reading, ends)
    if document is None:
        return reading.faults
    _check_notifications(reading, document, instances)
    access = AccessCatalogue.of(package for _, package in packages)
    return TenantConfig(document, instances, access, mappings, ends, tuple(reading.faults))


def _instances_and_packages(reading: _Reading) -> tuple[dict[str, Instance], list[tuple[str, AccessPackage]]]:
    """The connector instances by name, and the access packages with their files."""
    instances: dict[str, Instance] = {}
    packages: list[tuple[str, AccessPackage]] = []
    for file in sorted(reading.files):
        path = PurePosixPath(file)
        if path.suffix != ".yaml" or file == "tenant.yaml":
            continue
        match path.parent.parts:
            case ("connectors",):
                if instance := _instance(reading, file):
                    instances[path.stem] = instance
            case ("access",) | ("access", _):
                if package := _package(reading, file):
                    packages.append((file, package))
            case ("mappings", _) | ("schemas",):
                pass  # read all together: a version leans on the tables beside it and on what both ends are
            case _:
                places = "tenant.yaml, connectors/<instance>.yaml, access/<package>.yaml, access/<package>/v0002.yaml, schemas/<instance>.yaml"
                reading.fault(file, "", f"unknown place; use {places} or mappings/<source>__<target>/<file>.yaml")
    return instances, packages


def _own_schemas(reading: _Reading) -> dict[str, Ends]:
    """Connector key → what ``schemas/<instance>.yaml`` says of its instance's fields."""
    found: dict[str, Ends] = {}
    for file in sorted(reading.files):
        if not file.startswith("schemas/") or not (document := reading.document(file, SchemaDocument)):
            continue
        instance = f"connectors/{PurePosixPath(file).stem}.yaml"
        if instance not in reading.files:
            reading.fault(file, "", f"describes an instance that is not there; searched: {instance}")
        elif described := reading.plain(instance).get("connector"):
            found[str(described)] = (document.source, document.target)
    return found


def _mappings(reading: _Reading, ends: Callable[[str], Ends]) -> MappingRegistry:
    """The library with the tenant's own versions, whose faults are told with their places."""
    registry = MappingRegistry.shipped().with_documents(reading.files)
    for fault in registry.check_own(ends):
        reading.fault(f"{fault.file}:{fault.line}:{fault.column}", fault.key, fault.message)
    return registry


def _check_notifications(reading: _Reading, document: TenantDocument, instances: Mapping[str, Instance]) -> None:
    """Notifications through an instance that is not there, or that cannot send any."""
    told = document.notifications
    if told is None:
        return
    if f"connectors/{told.instance}.yaml" not in reading.files:
        missing = f"no instance {told.instance!r}; searched: connectors/{told.instance}.yaml"
        reading.fault("tenant.yaml", "notifications.instance", missing)
    elif told.instance in instances and instances[told.instance].connector.can.notifier is None:
        can_not = f"{told.instance!r} is a {instances[told.instance].connector.title} instance, which sends no notifications"
        reading.fault("tenant.yaml", "notifications.instance", can_not)


def _tenant_document(reading: _Reading) -> TenantDocument | None:
    if "tenant.yaml" not in reading.files:
        reading.fault("tenant.yaml", "", "is missing; it names the tenant and its systems")
        return None
    return reading.document("tenant.yaml", TenantDocument)


def _instance(reading: _Reading, file: str) -> Instance | None:
    document = reading.document(file, InstanceDocument)
    if document is None:
        return None
    try:
        connector: Connector[Any, Any] = catalogue.load(document.connector)
    except Misconfigured as error:
        reading.fault(file, "connector", str(error))
        return None
    filled, missing = reading.secrets.fill(document.settings, "settings")
    plain = dict.fromkeys(plain_secrets(connector.settings, document.settings, "settings"), REFERENCE_NEEDED)
    known = {**dict(missing), **plain}
    settings = reading.valid(file, connector.settings, filled, "settings", known=known)
    if settings is None or known:
        return None
    name = PurePosixPath(file).stem
    return Instance(name, connector, settings, reading.around(name))


def _systems_alone(text: str) -> Systems | None:
    """The systems of a ``tenant.yaml`` that has faults elsewhere, so that faults around them are reported with the others."""
    try:
        return Systems.model_validate(yaml.safe_load(text)["systems"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        return None


def _check_parts(reading: _Reading, systems: Systems, instances: Mapping[str, Instance]) -> None:
    """Parts that name no instance, and instances that cannot play their part."""
    for key, name, capability in systems.parts():
        if f"connectors/{name}.yaml" not in reading.files:
            reading.fault("tenant.yaml", f"systems.{key}", f"no instance {name!r}; searched: connectors/{name}.yaml")
        elif name in instances and getattr(instances[name].connector.can, capability) is None:
            can_not = f"{name!r} is a {instances[name].connector.title} instance, which has no {capability} capability"
            reading.fault("tenant.yaml", f"systems.{key}", can_not)


def _package(reading: _Reading, file: str) -> AccessPackage | None:
    """One version of a package. A file of its own folder is named by the version that it is."""
    package = reading.document(file, AccessPackage)
    path = PurePosixPath(file)
    if package is None or len(path.parent.parts) == 1:
        return package
    if path.parent.name != package.package:
        reading.fault(file, "package", f"the file says {package.package}, its folder {path.parent.name}")
    if path.stem != f"v{package.version:04}":
        reading.fault(file, "version", f"the file says version {package.version}, its name {path.stem}")
    return package


def _check_packages(reading: _Reading, systems: Systems | None, packages: list[tuple[str, AccessPackage]]) -> None:
    """Packages for no directory, versions that are there twice, and no package at all."""
    versions: dict[tuple[str, int], str] = {}
    directories = systems.directories if systems else ()
    for file, package in packages:
        strays = sorted(set(package.directories) - set(directories)) if directories else []
        for directory in strays:
            known = ", ".join(directories)
            reading.fault(file, f"directories.{directory}", f"not among the tenant's directories ({known})")
        first = versions.setdefault((package.package, package.version), file)
        if first != file:
            reading.fault(file, "version", f"{package.package} has a version {package.version} already: {first}")
    if not any(file.startswith("access/") for file in reading.files):
        reading.fault("access/", "", "no access package; nobody could be given access. Searched: access/*.yaml, access/*/*.yaml")
