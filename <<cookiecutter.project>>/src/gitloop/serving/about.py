"""What the service tells of itself: GET /model, and its API as OpenAPI (/docs.json, which the page at / shows)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PROBLEMS: dict[str, Any] = {
    "title": "Problems",
    "type": "object",
    "required": ["error", "problems"],
    "properties": {
        "error": {"type": "string"},
        "problems": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "problem"],
                "properties": {
                    "field": {"type": "string", "description": "Path of the field, or `body`, or `request`"},
                    "problem": {"type": "string", "description": "The rule that it breaks"},
                },
            },
        },
    },
}
UNUSED = ("TaskStatusResponse", "InvalidArgument", "NotFound", "InternalServerError")
REFUSALS = {"400": "The body breaks the contract", "408": "The body came too slowly", "413": "The body is too long"}


def app(
    model: Callable[[], dict[str, Any]], openapi: Callable[[], dict[str, Any]], example: dict[str, Any], token: bool
) -> Starlette:
    """The pages; `model` and `openapi` are asked at each request, `example` is a row."""

    async def told(_: Request) -> JSONResponse:
        return JSONResponse(model())

    async def docs(_: Request) -> JSONResponse:
        return JSONResponse(completed(openapi(), example, token))

    return Starlette(routes=[Route("/model", told), Route("/docs.json", docs)])


def completed(bentoml: dict[str, Any], example: dict[str, Any], token: bool) -> dict[str, Any]:
    """BentoML's description, with what else is answered, and a row to try."""
    spec = copy.deepcopy(bentoml)
    for name in UNUSED:
        spec["components"]["schemas"].pop(name, None)
    for path, body in (("/predict", example), ("/predict_batch", {"rows": [example]})):
        spec["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"] = body
    spec["components"]["schemas"]["Problems"] = PROBLEMS
    problems = {"application/json": {"schema": {"$ref": "#/components/schemas/Problems"}}}
    told = REFUSALS | ({"401": "The token is missing or wrong"} if token else {})
    for path, item in spec["paths"].items():
        for operation in item.values():
            answers = operation["responses"]
            if operation.get("requestBody"):
                operation["requestBody"]["required"] = True
                for status in [status for status in answers if status != 200]:
                    del answers[status]
                answers |= {status: {"description": about, "content": problems} for status, about in told.items()}
            elif token and path not in ("/livez", "/readyz", "/healthz"):
                answers["401"] = {"description": told["401"], "content": problems}
    feedback = spec["paths"]["/feedback"]["post"]["responses"]
    feedback["409"] = {"description": "No log is kept", "content": problems}
    feedback["503"] = {"description": "The log cannot be written now", "content": problems}
    told_of = {"application/json": {"schema": {"type": "object"}}}
    answer: dict[str, Any] = {"200": {"description": "The model", "content": told_of}}
    if token:
        answer["401"] = {"description": told["401"], "content": problems}
    spec["paths"]["/model"] = {
        "get": {"tags": ["Service APIs"], "summary": "Version, origin, lineage, metrics and card", "responses": answer}
    }
    if token:
        spec["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        spec["security"] = [{"token": []}]
    return spec
