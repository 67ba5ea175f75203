"""What the OpenAPI document says of endpoints whose form is that of their own standards."""

from typing import Any

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "string",
            "enum": [
                "invalid_request",
                "invalid_client",
                "invalid_grant",
                "invalid_scope",
                "unsupported_grant_type",
            ],
        }
    },
}
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "依頼の誤り（RFC 6749 5.2）", "content": {"application/json": {"schema": _ERROR}}},
    401: {"description": "クライアント認証の失敗", "content": {"application/json": {"schema": _ERROR}}},
}
_FIELDS = {
    "grant_type": "client_credentials または refresh_token",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": "署名した JWT（RFC 7523。private_key_jwt または client_secret_jwt）",
    "client_id": "クライアントの識別子",
}


def described(required: set[str], fields: dict[str, str]) -> dict[str, Any]:
    """The request body of a form endpoint; ``fields`` adds to those of client authentication."""
    shown = {**_FIELDS, **fields}
    if "grant_type" not in required:
        shown.pop("grant_type")
    schema = {
        "type": "object",
        "required": sorted(required),
        "properties": {name: {"type": "string", "description": text} for name, text in shown.items()},
    }
    return {"requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}}
