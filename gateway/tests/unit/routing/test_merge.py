"""Many descriptions become one: prefixed, without name clashes, without what the outside never reaches."""

import copy
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from town_gateway.openapi_merge import merge, public_operations
from town_gateway.routes import Operation, RouteTable

PROBLEM = {"$ref": "#/components/schemas/Problem"}
VIEW = {"$ref": "#/components/schemas/View"}


def described(*paths: str) -> dict[str, Any]:
    operation = {
        "operationId": "read",
        "tags": ["申請"],
        "security": [{"token": []}],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": VIEW}}}},
    }
    items = {}
    for number, path in enumerate(paths):
        items[path] = {"get": copy.deepcopy(operation) | {"operationId": f"read{number}"}}
    schemas = {"Problem": {"type": "object"}, "View": {"type": "object", "properties": {"inner": VIEW}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1.0.0"},
        "paths": items,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def test_two_services_stand_beside_each_other_in_one_valid_document() -> None:
    table = RouteTable().routes
    procedures = described("/v1/applications", "/v1/intake", "/livez")
    procedures["paths"]["/v1/applications"]["get"]["responses"]["404"] = {
        "description": "",
        "content": {"application/problem+json": {"schema": PROBLEM}},
    }

    merged = merge(
        described("/apps/x"), [(table["procedures"], procedures), (table["identity"], described("/v1/devices"))]
    )

    OpenAPIV31SpecValidator(merged).validate()
    assert set(merged["paths"]) == {"/apps/x", "/procedures/v1/applications", "/identity/v1/devices"}
    assert {"View", "procedures.View", "identity.View", "Problem"} == set(merged["components"]["schemas"])
    own_reference = merged["components"]["schemas"]["procedures.View"]["properties"]["inner"]["$ref"]
    assert own_reference == "#/components/schemas/procedures.View"
    ids = [operation["operationId"] for item in merged["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
    assert merged["paths"]["/procedures/v1/applications"]["get"]["tags"] == ["procedures", "申請"]


def test_what_only_inner_routes_speak_of_is_left_out() -> None:
    procedures = described("/v1/applications", "/v1/intake")
    inner = {"$ref": "#/components/schemas/IntakeAnswer"}
    procedures["paths"]["/v1/intake"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = inner
    procedures["components"]["schemas"] |= {
        "IntakeAnswer": {"properties": {"part": {"$ref": "#/components/schemas/IntakePart"}}},
        "IntakePart": {"type": "object"},
    }

    merged = merge(described("/apps/x"), [(RouteTable().routes["procedures"], procedures)])

    assert set(merged["components"]["schemas"]) == {"View", "procedures.View"}


def test_an_operation_without_security_is_public() -> None:
    document = described("/v1/a", "/v1/b")
    del document["paths"]["/v1/b"]["get"]["security"]

    assert public_operations(document) == {Operation("GET", "/v1/b")}
