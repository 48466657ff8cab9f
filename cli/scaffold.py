"""``stint connectors new``: a package for a system that is not in the catalogue yet, which passes the conformance suite as it stands.

It speaks to a made-up REST vendor that ships with it as its sandbox. What has to become the real vendor's is what the author changes; the
suite says after each step what no longer holds.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from textwrap import indent
from typing import TypeVar

import connectors
from connectors import catalogue
from connectors.contract import Kind
from workforce.errors import Misconfigured

P = TypeVar("P")

LINE_LENGTH = 130
"""That of the project's style."""

_KEY = re.compile(r"[a-z][a-z0-9]{1,30}")
_SHARED = ("client", "settings", "records", "sandbox")

_TRIAL_METHODS = {
    "sink": '''
def record(self, n: int) -> Mapping[str, object]:
    """A contractor."""
    return {"name": f"Ada Lovelace {n}", "email": f"ada{n}@mail.example"}

def record_change(self) -> Mapping[str, object]:
    """Another job."""
    return {"title": "Architect"}
''',
    "source": '''
def change_source(self, sandbox: ${Name}Sandbox, n: int) -> str:
    """Somebody there makes or changes record ``n``."""
    known = [record_id for record_id, record in sandbox.records.items() if record.get("number") == n]
    if known:
        sandbox.alter(known[0], title=f"Developer {len(sandbox.records)}")
        return known[0]
    return sandbox.plant(number=n, name=f"Ada Lovelace {n}")
''',
    "webhooks": '''
def delivery(self, sandbox: ${Name}Sandbox, n: int) -> Delivery:
    """A webhook about a new record."""
    record_id = self.change_source(sandbox, n)
    headers, body = sandbox.webhook(record_id)
    return Delivery(headers, body, record_id)
''',
    "signing": '''
def agreement(self, marker: str) -> SigningRequest:
    """An agreement for one signature."""
    party = SigningParty("contractor", "Ada Lovelace", "ada@mail.example")
    return SigningRequest(marker, "template-1", "Your agreement", [party])

def sign(self, sandbox: ${Name}Sandbox, envelope_id: str) -> None:
    """Everybody signs."""
    sandbox.alter(envelope_id, status="completed")
''',
    "screening": '''
def screening(self, marker: str) -> ScreeningOrder:
    """A check."""
    return ScreeningOrder(marker, "Ada", "Lovelace", f"{marker.lower()}@mail.example", "standard", "DE")
''',
    "directory": '''
def account(self, marker: str) -> DesiredAccount:
    """An account."""
    ends_at = datetime(2031, 3, 31, 22, 0, tzinfo=UTC)
    return DesiredAccount(marker, f"ada.{marker.lower()}", {"title": "Developer"}, frozenset(), ends_at)

def shown(self, sandbox: ${Name}Sandbox, external_id: str) -> Mapping[str, object]:
    """The account as the directory holds it."""
    return dict(sandbox.records[external_id])

def add_group(self, sandbox: ${Name}Sandbox, name: str) -> str:
    """A group."""
    return sandbox.add_group(name)
''',
    "notifier": '''
def recipients(self) -> Sequence[str]:
    """Somebody to tell."""
    return ["ada@acme.example"]
''',
}
_WIRES: Mapping[str, Mapping[str, str]] = {
    "sink": {
        "find": '"GET", ALL', "create": '"POST", ALL, "create"', "update": '"PATCH", ONE, "set title"',
        "end": '"PATCH", ONE, "set active, ends_on"', "read": '"GET", ONE',
    },
    "source": {"changes": '"GET", ALL', "read": '"GET", ONE'},
    "signing": {
        "find": '"GET", ALL', "send": '"POST", ALL, "create"', "status": '"GET", ONE', "documents": '"GET", r"/document$$"',
        "void": '"PATCH", ONE, "set reason, status"',
    },
    "screening": {"find": '"GET", ALL', "order": '"POST", ALL, "create"', "status": '"GET", ONE'},
    "notifier": {"send": '"POST", ALL, "create"'},
    "directory": {
        "find": '"GET", ALL', "find_by_login": '"GET", ALL', "read": '"GET", ONE', "create": '"POST", ALL, "create"',
        "update": '"PATCH", ONE, "set title"', "set_expiry": '"PATCH", ONE, "set expires_at"',
        "enable": '"PATCH", ONE, "set enabled"', "disable": '"PATCH", ONE, "set enabled"',
        "revoke_sessions": '"PATCH", ONE, "set sessions_valid_from"', "add_member": '"PUT", r"/members/", "add_member"',
        "remove_member": '"DELETE", r"/members/", "remove_member"', "accounts": '"GET", ALL',
        "block_all": '"PATCH", ONE, "set enabled"',
    },
}  # fmt: skip
_UNTRIED: Mapping[str, Mapping[str, str]] = {
    "directory": {"directory.move_to_disabled": "there is no place for disabled accounts"}
}
_TRIAL_IMPORTS = {
    "directory": "from workforce.access import DesiredAccount",
    "screening": "from workforce.screening import ScreeningOrder",
    "signing": "from workforce.signing import SigningParty, SigningRequest",
}
_CAPABILITIES: Mapping[Kind, tuple[str, ...]] = {
    Kind.VMS: ("source", "sink"),
    Kind.ATS: ("source", "webhooks"),
    Kind.HRIS: ("sink",),
    Kind.PAYROLL: ("sink",),
    Kind.ESIGN: ("signing",),
    Kind.SCREENING: ("screening",),
    Kind.DIRECTORY: ("directory",),
    Kind.NOTIFIER: ("notifier",),
}
_SCHEMAS: Mapping[str, tuple[str, str]] = {
    "source": ("source.schema.json", "source_record.json.txt"),
    "signing": ("source.schema.json", "envelope.json.txt"),
    "sink": ("target.schema.json", "record.json.txt"),
    "directory": ("target.schema.json", "account.json.txt"),
}
"""What comes from a capability, or goes to it, as a JSON Schema: its file and the file's template."""
_CLIENT_METHODS = {
    "signing": '''
    def content(self, record_id: str) -> bytes:
        """A record's document. Raises ``NotFound``; ``Refused`` while there is none."""
        return self._edge.read("GET", f"{_path(record_id)}/document", headers={"Accept": "application/pdf"}).content
''',
    "directory": '''
    def member(self, method: str, group_id: str, record_id: str) -> httpx.Response:
        """Put into a group (PUT) or take out of it (DELETE). Raises ``NotFound``."""
        return self._edge.write(method, f"/v1/groups/{quote(group_id, safe='')}/members/{quote(record_id, safe='')}")
''',
}
_SANDBOX_METHODS = {
    "webhooks": '''
    def webhook(self, record_id: str) -> tuple[dict[str, str], bytes]:
        """A signed delivery about a record, with its headers."""
        body = json.dumps({"id": str(uuid4()), "type": "record.changed", "record_id": record_id}).encode()
        return {SIGNATURE: sign(SCHEME, WEBHOOK_SECRET.encode(), {}, body)}, body
''',
    "directory": '''
    def add_group(self, name: str) -> str:
        """A group by hand; its id."""
        self.groups.add(name)
        return name
''',
}
_SANDBOX_STATE = {"directory": "        self.groups: set[str] = set()\n"}
_SANDBOX_ROUTES = {
    "signing": '            Route("/v1/records/{id}/document", self._guarded(self._document), methods=["GET"]),\n',
    "directory": '            Route("/v1/groups/{group}/members/{id}", self._guarded(self._member), methods=["PUT", "DELETE"]),\n',
}
_SANDBOX_HANDLERS = {
    "signing": """
    def _document(self, request: Request, body: dict[str, Any]) -> Response:
        del body
        if self.records[request.path_params["id"]].get("status") != "completed":
            return _error(409, "not_signed")
        return Response(b"%PDF-1.4 signed", media_type="application/pdf")
""",
    "directory": """
    def _member(self, request: Request, body: dict[str, Any]) -> Response:
        del body
        group, record_id = request.path_params["group"], request.path_params["id"]
        held: list[str] = self.records[record_id].setdefault("groups", [])
        if group not in self.groups or (request.method == "DELETE" and group not in held):
            return _error(404, "not_found")
        if request.method == "DELETE":
            held.remove(group)
            self.effects.record("remove_member", record_id)
        elif group not in held:
            held.append(group)
            self.effects.record("add_member", record_id)
        return Response(status_code=204)
""",
}


@dataclass(frozen=True)
class Draft:
    """The connector to be written. Raises ``Misconfigured`` for a key that cannot be one or is taken.

    ``also`` are capabilities besides those that its kind starts with.
    """

    key: str
    kind: Kind
    title: str
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise Misconfigured(
                "KEY: 2 to 31 lower-case letters and digits, beginning with a letter", cause="bad_key", field="key"
            )
        if self.key in catalogue.known_keys():
            raise Misconfigured(f"KEY: there is a connector {self.key!r} already", cause="known_connector", field="key")
        if not self.title.isprintable() or '"' in self.title or "\\" in self.title:
            raise Misconfigured("--title: one line without quotation marks and backslashes", cause="bad_title", field="title")
        if unknown := [name for name in self.also if name not in _TRIAL_METHODS]:
            message = f"--kind: {unknown[0]!r} is none of {', '.join(_TRIAL_METHODS)}"
            raise Misconfigured(message, cause="unknown_capability", field="kind")
        if "webhooks" in self.capabilities and "source" not in self.capabilities:
            message = "--kind: webhooks get lost, so a connector that has them is asked as well: add +source"
            raise Misconfigured(message, cause="missing_capability", field="kind")

    @classmethod
    def of(cls, key: str, kind: str, title: str | None) -> Draft:
        """From what was typed; ``hris+source`` is a kind and what it can do besides. Raises ``Misconfigured`` naming the option."""
        name, *also = kind.split("+")
        if name not in set(Kind):
            raise Misconfigured(f"--kind: {name!r} is none of {', '.join(Kind)}", cause="unknown_kind", field="kind")
        return cls(key, Kind(name), title or key.capitalize(), tuple(also))

    @property
    def capabilities(self) -> tuple[str, ...]:
        """Those that the kind starts with, and the others."""
        return tuple(dict.fromkeys((*_CAPABILITIES[self.kind], *self.also)))

    @property
    def name(self) -> str:
        """The start of the classes' names."""
        return self.key.capitalize()

    def files(self) -> dict[str, str]:
        """Every file of the package, by name."""
        sources = {f"{name}.py": f"{name}.py.txt" for name in (*_SHARED, *self.capabilities, "trial")}
        templates = {"__init__.py": "init.py.txt", "quality.yaml": "quality.yaml.txt", **sources, **dict(self._parts(_SCHEMAS))}
        return {name: self._filled(_template(template)) for name, template in templates.items()}

    def _filled(self, text: str) -> str:
        values = {**self._words(), "trial_methods": self._trial_methods()}
        return _with_sorted_imports(re.sub(r"\n{4,}", "\n\n\n", Template(text).substitute(values)).rstrip("\n") + "\n")

    def _words(self) -> dict[str, str]:
        has_webhooks = "webhooks" in self.capabilities
        imports = [f"from connectors.{self.key}.{name} import {self.name}{_class(name)}" for name in self.capabilities]
        untried = {operation: why for part in self._parts(_UNTRIED) for operation, why in part.items()}
        return {
            "key": self.key,
            "Name": self.name,
            "title": self.title,
            "KIND": self.kind.name,
            "declared": self._declared(),
            "capability_imports": "\n".join(imports) + "\n",
            "extra_settings": "    webhook_secrets: tuple[SecretStr, ...] = ()\n" if has_webhooks else "",
            "sandbox_imports": self._webhook_imports() if has_webhooks else "",
            "sandbox_constants": 'WEBHOOK_SECRET = "sandbox-webhook-secret"\n' if has_webhooks else "",
            "sandbox_settings": ', "webhook_secrets": [WEBHOOK_SECRET]' if has_webhooks else "",
            "sandbox_methods": "".join(self._parts(_SANDBOX_METHODS)),
            "sandbox_state": "".join(self._parts(_SANDBOX_STATE)),
            "sandbox_routes": "".join(self._parts(_SANDBOX_ROUTES)),
            "sandbox_handlers": "".join(self._parts(_SANDBOX_HANDLERS)),
            "client_methods": "".join(f"{method.lstrip(chr(10))}\n" for method in self._parts(_CLIENT_METHODS)),
            "webhook_rule": '{status: done, reason: "HMAC-SHA256 over the raw body"}'
            if has_webhooks
            else '{status: exempt, reason: "no webhooks"}',
            "wires": self._wires(),
            "untried": f"    untried: Mapping[str, str] = {json.dumps(untried)}\n" if untried else "",
            "trial_imports": self._trial_imports(),
            "trial_names": "Delivery, HttpTrial, Wire" if has_webhooks else "HttpTrial, Wire",
        }

    def _declared(self) -> str:
        """The arguments of ``Capabilities``, one a line where they are too long for one."""
        each = [f"{name}={self.name}{_class(name)}" for name in self.capabilities]
        in_one_line = ", ".join(each)
        if len(f"    can=Capabilities({in_one_line}),") <= LINE_LENGTH:
            return in_one_line
        return "".join(f"\n        {one}," for one in each) + "\n    "

    def _parts(self, of: Mapping[str, P]) -> list[P]:
        """Those of the connector's capabilities, in their order."""
        return [of[name] for name in self.capabilities if name in of]

    def _webhook_imports(self) -> str:
        return f"from connectors.{self.key}.webhooks import SCHEME, SIGNATURE\nfrom connectors.webhooks import sign\n"

    def _wires(self) -> str:
        lines = [
            f'"{capability}.{method}": Wire({wire}),'
            for capability in self.capabilities
            for method, wire in _WIRES.get(capability, {}).items()
        ]
        return indent(Template("\n".join(lines)).substitute(), " " * 8)

    def _trial_imports(self) -> str:
        collections = "Mapping, Sequence" if "notifier" in self.capabilities else "Mapping"
        standard = ["from datetime import UTC, datetime"] if "directory" in self.capabilities else []
        lines = [f"from collections.abc import {collections}", *standard, "", *self._parts(_TRIAL_IMPORTS)]
        return "\n".join(lines)

    def _trial_methods(self) -> str:
        methods = "".join(_TRIAL_METHODS[name] for name in self.capabilities)
        return indent(Template(methods.strip("\n")).substitute(Name=self.name), " " * 4)


def write(draft: Draft, folder: Path | None = None) -> Path:
    """Write the package below ``folder`` (that of the connectors); its own folder. Nothing is left where something fails."""
    place = (folder or Path(connectors.__path__[0])) / draft.key
    if place.exists():
        raise Misconfigured(f"{place} is there already; remove it or choose another key", cause="exists", field="key")
    files = draft.files()
    place.mkdir(parents=True)
    try:
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")
        if folder is None:
            (place / "settings.schema.json").write_text(_schema(draft), encoding="utf-8")
    except BaseException:
        shutil.rmtree(place)
        raise
    return place


def _schema(draft: Draft) -> str:
    """The published form, of the settings as they were just written."""
    importlib.invalidate_caches()
    settings = getattr(importlib.import_module(f"connectors.{draft.key}.settings"), f"{draft.name}Settings")
    sys.modules.pop(f"connectors.{draft.key}.settings", None)
    return json.dumps(settings.model_json_schema(), indent=2, sort_keys=True) + "\n"


def _with_sorted_imports(text: str) -> str:
    """Each block of imports in the order of its modules, which depends on the key."""
    block = re.compile(r"(?:^from [\w.]+ import .+\n)+", re.MULTILINE)
    return block.sub(lambda found: "".join(sorted(found.group().splitlines(keepends=True), key=_module)), text)


def _module(line: str) -> str:
    return line.split()[1]


def _class(capability: str) -> str:
    return capability.capitalize()


def _template(name: str) -> str:
    return resources.files("cli").joinpath("templates", "connector", name).read_text(encoding="utf-8")
