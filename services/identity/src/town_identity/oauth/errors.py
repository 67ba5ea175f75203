"""Errors of the token endpoint, in the form of RFC 6749 §5.2; nothing of the request is repeated."""

from fastapi.responses import JSONResponse

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_STATUS = {"invalid_client": 401}


def oauth_error(code: str) -> JSONResponse:
    """The answer for an error code such as ``invalid_grant``."""
    return JSONResponse({"error": code}, _STATUS.get(code, 400), headers=NO_STORE)
