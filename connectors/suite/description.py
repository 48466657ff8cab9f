"""Recorded HTTP exchanges held against a vendor's own API description. Needs ``jsonschema``, which comes with the test tools."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from connectors.suite.trial import Exchange


class VendorSpec:
    """One vendor description: Swagger 2.0, OpenAPI 3.0 or 3.1."""

    def __init__(self, document: dict[str, Any], *, prefix: str = "") -> None:
        self._document = document
        self._prefix = prefix
        self._swagger2 = "swagger" in document
        normal = _with_null_types(document)
        self._registry: Registry[Any] = Registry().with_resource(
            "urn:spec", Resource.from_contents(normal, default_specification=DRAFT202012)
        )
        literal_first = sorted(normal["paths"].items(), key=lambda path: path[0].count("{"))
        self._paths = [
            (re.compile("^" + re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(path)) + "$"), ops) for path, ops in literal_first
        ]

    @classmethod
    def read(cls, path: Path, *, prefix: str = "") -> VendorSpec:
        """The description in the JSON file ``path``. ``prefix`` is cut off the paths of exchanges."""
        return cls(json.loads(path.read_text(encoding="utf-8")), prefix=prefix)

    def operation(self, exchange: Exchange) -> dict[str, Any]:
        """The described operation for an exchange. Fails when the vendor describes none."""
        path = exchange.path.removeprefix(self._prefix)
        for pattern, operations in self._paths:
            if pattern.match(path) and exchange.method.lower() in operations:
                shared = operations.get("parameters", [])
                operation: dict[str, Any] = operations[exchange.method.lower()]
                return {**operation, "parameters": [self._deref(p) for p in [*shared, *operation.get("parameters", [])]]}
        raise AssertionError(f"the vendor describes no {exchange.method} {path}")

    def check(self, exchange: Exchange) -> None:
        """Assert that request and response are as described."""
        operation = self.operation(exchange)
        self._check_parameters(exchange, operation)
        self._check_request_body(exchange, operation)
        self._check_response(exchange, operation)

    def _check_parameters(self, exchange: Exchange, operation: dict[str, Any]) -> None:
        query = [p for p in operation["parameters"] if p["in"] == "query"]
        known = {p["name"] for p in query}
        unknown = {name for name in exchange.query if name not in known and name.split("[")[0] not in known}
        assert not unknown, f"{exchange.method} {exchange.path}: the vendor describes no query parameters {unknown}"
        for parameter in operation["parameters"]:
            sent = {"query": exchange.query, "header": exchange.headers}.get(parameter["in"], {})
            name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
            missing = parameter.get("required") and parameter["in"] in {"query", "header"} and name not in sent
            assert not missing, f"{exchange.method} {exchange.path}: required {parameter['in']} parameter {name} is missing"

    def _check_request_body(self, exchange: Exchange, operation: dict[str, Any]) -> None:
        if self._swagger2:
            bodies = [p for p in operation["parameters"] if p["in"] == "body"]
            schema, required = (bodies[0]["schema"], bodies[0].get("required")) if bodies else (None, False)
        else:
            described = self._deref(operation.get("requestBody", {}))
            schema, required = _json_schema(described), described.get("required")
        if not exchange.request_body:
            assert not required, f"{exchange.method} {exchange.path}: a body is required"
        elif schema is not None:
            self._validate(json.loads(exchange.request_body), schema, f"request {exchange.method} {exchange.path}")

    def _check_response(self, exchange: Exchange, operation: dict[str, Any]) -> None:
        responses = operation["responses"]
        described = (
            responses.get(str(exchange.status)) or responses.get(f"{exchange.status // 100}XX") or responses.get("default")
        )
        assert described is not None, f"{exchange.method} {exchange.path}: the vendor describes no answer {exchange.status}"
        described = self._deref(described)
        schema = described.get("schema") if self._swagger2 else _json_schema(described)
        is_json = "json" in exchange.response_headers.get("content-type", "json")
        if schema is not None and exchange.response_body and is_json:
            self._validate(
                json.loads(exchange.response_body), schema, f"response {exchange.status} {exchange.method} {exchange.path}"
            )

    def _deref(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = self._registry.resolver("urn:spec").lookup(node["$ref"]).contents
        return node

    def _validate(self, instance: object, schema: dict[str, Any], where: str) -> None:
        validator = jsonschema.Draft202012Validator(_absolute(schema), registry=self._registry)
        faults = [
            f"{where}: {'/'.join(map(str, e.absolute_path)) or '(body)'}: {e.message[:200]}"
            for e in validator.iter_errors(instance)
        ]
        assert not faults, "\n".join(faults)


def _json_schema(described: dict[str, Any]) -> dict[str, Any] | None:
    for media_type, content in described.get("content", {}).items():
        if "json" in media_type:
            schema: dict[str, Any] | None = content.get("schema")
            return schema
    return None


def _absolute(schema: Any) -> Any:
    """The schema with its local references made to point into the registered document."""
    if isinstance(schema, dict):
        return {k: f"urn:spec{v}" if k == "$ref" and v.startswith("#") else _absolute(v) for k, v in schema.items()}
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def _with_null_types(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` and Swagger's ``x-nullable`` as JSON Schema types."""
    if isinstance(node, list):
        return [_with_null_types(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {k: _with_null_types(v) for k, v in node.items()}
    if plain.get("nullable") is True or plain.get("x-nullable") is True:
        return {"anyOf": [{k: v for k, v in plain.items() if k not in {"nullable", "x-nullable"}}, {"type": "null"}]}
    return plain
