"""A tenant's configuration: versioned documents (YAML) that become connector instances, access packages and a process set-up.

``tenant.yaml`` · ``connectors/<instance>.yaml`` · ``access/<package>.yaml``. Every fault is reported at once, with file and key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

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
from config.secrets import REFERENCE_NEEDED, SecretStore, plain_secrets
from connectors import catalogue
from connectors.contract import ALONE, Connector, Instance, Surroundings
from provisioning.packages import AccessCatalogue, AccessPackage
from workforce.errors import HubError, Misconfigured

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
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


class TenantDocument(BaseModel):
    """``tenant.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Slug
    name: str
    email_domain: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+\.[a-z]{2,}$")]
    systems: Systems
    calendar: BusinessCalendar = Field(default_factory=BusinessCalendar)

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
            self.fault(file, "", f"not readable as YAML: {' '.join(str(error).split())}")
            return None
        return self.valid(file, model, content, "")

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
    instances = {}
    packages = []
    for file in sorted(files):
        path = PurePosixPath(file)
        if path.suffix != ".yaml" or file == "tenant.yaml":
            continue
        match path.parent.parts:
            case ("connectors",):
                if instance := _instance(reading, file):
                    instances[path.stem] = instance
            case ("access",):
                if package := reading.document(file, AccessPackage):
                    packages.append((file, package))
            case _:
                reading.fault(file, "", "unknown place; use tenant.yaml, connectors/<instance>.yaml or access/<package>.yaml")
    systems = document.systems if document else _systems_alone(files.get("tenant.yaml", ""))
    if systems is not None:
        _check_parts(reading, systems, instances)
    _check_packages(reading, systems, packages)
    if document is None:
        return reading.faults
    return TenantConfig(document, instances, AccessCatalogue.of(package for _, package in packages), tuple(reading.faults))


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


def _check_packages(reading: _Reading, systems: Systems | None, packages: list[tuple[str, AccessPackage]]) -> None:
    """Packages for no directory, roles named twice, and no package at all."""
    roles: dict[str, str] = {}
    directories = systems.directories if systems else ()
    for file, package in packages:
        strays = sorted(set(package.directories) - set(directories)) if directories else []
        for directory in strays:
            known = ", ".join(directories)
            reading.fault(file, f"directories.{directory}", f"not among the tenant's directories ({known})")
        first = roles.setdefault(package.role.strip().casefold(), file)
        if first != file:
            reading.fault(file, "role", f"{package.role!r} has a package already: {first}")
    if not any(file.startswith("access/") for file in reading.files):
        reading.fault("access/", "", "no access package; nobody could be given access. Searched: access/*.yaml")
