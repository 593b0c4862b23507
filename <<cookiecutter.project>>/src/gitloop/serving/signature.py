"""What a served model takes and gives: model/signature.json, a view of the contract it was trained on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from gitloop.contract import Column, Contract, Frozen
from gitloop.errors import InputError
from gitloop.files import read_json
from gitloop.modeling.inputs import Schema, visible

FILE = "signature.json"


class Signature(Frozen):
    """The columns and what becomes of them."""

    name: str  # the candidate
    contract: Contract  # without personal data and ignored columns
    features: Schema  # what the model is given, after derivation
    derive: str | None  # dotted name of the derivation
    derive_sha256: str | None  # of the file that holds it
    format: Literal["onnx", "skops"]
    labels: tuple[str, ...]  # binary: negative, positive; multiclass: what the columns of the scores mean; else none
    threshold: float  # binary: positive from this probability on

    @cached_property
    def inputs(self) -> dict[str, Column]:
        """What a prediction needs: features, and the timestamp where there is a derivation that may read it."""
        names = visible(self.contract) if self.derive else self.contract.features
        return {name: self.contract.columns[name] for name in names}

    @cached_property
    def passengers(self) -> dict[str, Column]:
        """What a caller may send along for the log: keys, sensitive columns and the timestamp that are no inputs."""
        names = self.contract.named("key", "sensitive", "timestamp")
        return {name: self.contract.columns[name] for name in names if name not in self.inputs}


def read(folder: Path) -> Signature:
    """Without the rest of the model. Raises `InputError` where it is missing or broken."""
    return parse(folder / FILE, read_json(folder / FILE, "gitloop package"))


def parse(path: Path, value: Any) -> Signature:
    """Raises `InputError` where it is not what this version of gitloop writes."""
    try:
        return Signature.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{path}: is not a signature of this version of gitloop; run `dvc repro package`") from error
