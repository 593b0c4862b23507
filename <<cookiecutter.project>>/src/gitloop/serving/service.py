"""The BentoML service of the model in model/: `gitloop serve`, or `bentoml serve gitloop.serving.service:Service`.

Its types are made from the model's signature when this module is imported, in the root of a repository or of a Bento.
"""

from __future__ import annotations

import gc
import json
import sys
from typing import Any

import bentoml
from pydantic import Field, RootModel, ValidationError, create_model
from starlette.requests import Request
from starlette.responses import Response

from gitloop import layout, settings
from gitloop.errors import InputError
from gitloop.serving import about, failing, integrity, request, runtime
from gitloop.serving.answer import answer_type
from gitloop.serving.desk import Desk, Reply
from gitloop.serving.limits import Limits
from gitloop.serving.origin import origin
from gitloop.serving.tally import Counting, Tally

try:
    SETTINGS = settings.load()
    EXAMPLE = integrity.verified(layout.MODEL).json(integrity.EXPECTED)["rows"][0]
    SERVED = runtime.load(contract=SETTINGS.data)  # here, so that BentoML does not start workers that fail for ever
    ORIGIN = origin().model_dump()  # as it was at the start: what is served does not change with the work tree
    TOKEN = settings.secret(SETTINGS.serving.token_env, "conf/serving/: token_env")
    TRIAL = failing.trial(SERVED.version)
except InputError as error:  # one line, whatever starts it, instead of a traceback a worker
    sys.exit(f"gitloop serve: {error}")
SERVING, SIGNATURE = SETTINGS.serving, SERVED.signature
NAMES = request.names(SIGNATURE)
TALLY = Tally() if SERVING.log is not None else None


class Refused:
    """Takes the place of a body that breaks the contract."""

    def __init__(self, problems: list[dict[str, str]]) -> None:
        self.problems = problems


class Read(bentoml.IODescriptor):
    """A body that is read once, and of which what is wrong is told in the contract's terms."""

    __root_input__ = True

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler(source)  # BentoML's own would run every validator of a nullable field twice

    @classmethod
    async def from_http_request(cls, http: Request, serde: Any) -> Any:  # noqa: ARG003 -- JSON only
        kind = http.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            return Refused([{"field": "request", "problem": f"is {kind[:50]!r}; send application/json"}])
        try:
            return cls.model_validate_json(await http.body())
        except ValidationError as error:
            return Refused(request.problems(error, NAMES))


RowType = request.row_type(SIGNATURE)
Row = create_model("Row", __base__=(Read, RowType), __doc__="One row, as the contract declares it.")
Truth = create_model("Truth", __base__=(Read, request.truth_type(SIGNATURE.contract)))
Rows = create_model(
    "Rows",
    __base__=(Read, request.Body),
    rows=(list[RowType], Field(max_length=SERVING.max_rows)),  # type: ignore[valid-type]
)
Answer = answer_type(SIGNATURE)
Answers = create_model("Answers", __base__=RootModel[list[Answer]])  # type: ignore[valid-type]
Kept = create_model("Kept", id=(str, ...), kept=(bool, ...))


def _response(reply: Reply) -> Response:
    content = json.dumps(reply.body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, reply.status, media_type="application/json")


@bentoml.service(
    name=SETTINGS.project.package.replace("_", "-"),
    workers=SERVING.workers,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},  # what was asked and answered is in the prediction log
    tracing={"excluded_urls": "."},  # spans that nobody collects are made all the same, and cost more than the model
)
class Service:
    """The chosen model."""

    def __init__(self) -> None:
        from gitloop.serving.meters import Meters

        self.desk = Desk(SERVED, SERVING, Meters(SERVED.version), TALLY)

    @bentoml.on_startup
    def settle(self) -> None:
        """Keep full collections short and rare: one that walks through all that was imported holds up every request.

        They are needed, for a library's garbage may be cyclic: ten times less often than by default.
        """
        gc.collect()
        gc.freeze()
        young, middle, old = gc.get_threshold()
        gc.set_threshold(young, middle, 10 * old)

    @bentoml.api(input_spec=Row, output_spec=Answer)
    async def predict(self, row: Any) -> Any:
        """Predict one row."""
        if isinstance(row, Refused):
            return _response(self.desk.refuse("predict", row.problems))
        return _response(await self.desk.predict(row))

    @bentoml.api(input_spec=Rows, output_spec=Answers)
    async def predict_batch(self, body: Any) -> Any:
        """Predict several rows, each as if it were alone."""
        if isinstance(body, Refused):
            return _response(self.desk.refuse("predict_batch", body.problems))
        return _response(await self.desk.predict_batch(body.rows))

    @bentoml.api(input_spec=Truth, output_spec=Kept)
    async def feedback(self, body: Any) -> Any:
        """Tell what came true of a prediction; of several tellings the last counts."""
        if isinstance(body, Refused):
            return _response(self.desk.refuse("feedback", body.problems))
        return _response(self.desk.feedback(body.id, body.truth))

    async def __is_ready__(self) -> bool:
        return TRIAL is None or TRIAL.ready()

    @bentoml.on_shutdown
    def close(self) -> None:
        self.desk.close()


def _model() -> dict[str, Any]:
    return {
        "version": SERVED.version,
        "origin": ORIGIN,
        "signature": SIGNATURE.model_dump(mode="json"),
        "lineage": SERVED.lineage,
        "metrics": SERVED.metrics,
        "card": SERVED.card,
    }


service: Any = Service


def _openapi() -> dict[str, Any]:
    described: dict[str, Any] = service.openapi_spec.asdict()
    title = f"{SETTINGS.project.name}: {SIGNATURE.contract.target}"
    described["info"] = {"title": title, "version": SERVED.version}
    return described


service.mount_asgi_app(about.app(_model, _openapi, EXAMPLE, TOKEN is not None))
if TALLY is not None or TRIAL is not None:
    service.add_asgi_middleware(Counting, tally=TALLY, trial=TRIAL)  # before the next, to see what that refuses
service.add_asgi_middleware(Limits, most=SERVING.max_kilobytes * 1024, token=TOKEN)
