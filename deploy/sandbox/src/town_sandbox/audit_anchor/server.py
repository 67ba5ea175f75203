"""``POST /heads`` appends a head to a file that is only ever appended to; ``GET /heads/latest`` reads it back."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from town_sandbox.configuration import Place
from town_sandbox.counterpart import Counterpart, counterpart
from town_sandbox.faults import Faults
from town_sandbox.ledger import Ledger

MAXIMUM_BYTES = 16_384


def create(place: Place) -> Counterpart:
    """The anchor, its heads in ``audit_anchor.jsonl``."""
    ledger = Ledger(place.directory / "audit_anchor.jsonl")

    async def post(request: Request) -> Response:
        """Any JSON object with ``service``; it is kept as it came, with the time it came."""
        raw = await request.body()
        try:
            head = await request.json() if len(raw) <= MAXIMUM_BYTES else None
        except ValueError:
            head = None
        if not isinstance(head, dict) or not isinstance(head.get("service"), str):
            return JSONResponse({"error": "a JSON object with `service` is wanted"}, 422)
        entry = await ledger.append("head", service=head["service"], head=head)
        return JSONResponse({"anchor": entry["n"], "anchored_at": entry["at"]}, 201)

    async def latest(request: Request) -> Response:
        """The newest head of ``?service=``."""
        found = ledger.find("head", service=request.query_params.get("service", ""))
        if not found:
            return JSONResponse({"error": "no head of this service"}, 404)
        return JSONResponse({"anchor": found[-1]["n"], "anchored_at": found[-1]["at"], "head": found[-1]["head"]})

    routes = [Route("/heads", post, methods=["POST"]), Route("/heads/latest", latest, methods=["GET"])]
    return counterpart("audit_anchor", routes, ledger, Faults())
