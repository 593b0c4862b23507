"""model/ is what was packaged, and fits today's contract: checked before anything of it is used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitloop import layout
from gitloop.contract import Column, Contract
from gitloop.errors import InputError
from gitloop.serving.signature import FILE

MANIFEST, EXPECTED = "manifest.json", "expected.json"
LINEAGE, METRICS, CARD = "lineage.json", "metrics.json", "card.md"
REFERENCE = "reference.parquet"
MEND = "run `dvc checkout model`, or `dvc repro package`"


@dataclass(frozen=True)
class Package:
    """The content of model/, as its manifest records it."""

    folder: Path
    files: dict[str, bytes]
    sha256: str  # of the manifest

    def content(self, name: str) -> bytes:
        if name not in self.files:
            raise InputError(f"{self.folder / name}: is missing; {MEND}")
        return self.files[name]

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.content(name))
        except ValueError as error:
            raise InputError(f"{self.folder / name}: is not valid JSON; {MEND}") from error


def verified(folder: Path) -> Package:
    """Read every file that the manifest names. Raises `InputError`, a line for each that is not as packaged."""
    path = folder / MANIFEST
    try:
        manifest = path.read_bytes()
        recorded: dict[str, str] = dict(json.loads(manifest)["files"])
        there = {entry.name: entry.is_file() for entry in folder.iterdir() if entry.name != MANIFEST}
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run `dvc pull {layout.MODEL}`, or `dvc repro package`") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not a manifest ({type(error).__name__}); {MEND}") from error
    wrong = [
        f"{folder / name}: does not belong to the model; {MEND}" for name in sorted(there.keys() - recorded.keys())
    ]
    files: dict[str, bytes] = {}
    for name, sha256 in recorded.items():
        if not there.get(name):
            wrong.append(f"{folder / name}: is missing; {MEND}")
            continue
        files[name] = (folder / name).read_bytes()
        if hashlib.sha256(files[name]).hexdigest() != sha256:
            wrong.append(f"{folder / name}: is not the file that was packaged (its sha256 differs); {MEND}")
    if wrong:
        raise InputError("\n".join(wrong))
    return Package(folder, files, hashlib.sha256(manifest).hexdigest())


SAME = ("type", "nullable", "range", "categories", "case", "timezone")  # of a column, where a model is served


def agree(folder: Path, packaged: Contract, today: Contract) -> None:
    """Raises `InputError` where today's contract asks for other inputs, or another target, than the model has."""
    mend = "run `dvc repro`, or take the change back"
    if (packaged.task, packaged.target) != (today.task, today.target):
        raise InputError(
            f"{layout.PARAMS}: data: predicts {today.target} ({today.task}), and the model in {folder} "
            f"{packaged.target} ({packaged.task}); {mend}"
        )
    wrong = []
    then, now = (_served_columns(contract) for contract in (packaged, today))
    for name in [*then, *(name for name in now if name not in then)]:
        where = f"{layout.PARAMS}: data.columns.{name}"
        if name not in now or name not in then:
            wrong.append(
                f"{where}: is {'no longer' if name in then else 'now'} an input, unlike in {folder / FILE}; {mend}"
            )
            continue
        keys = [key for key in (*SAME, "positive") if getattr(then[name], key) != getattr(now[name], key)]
        if keys:
            wrong.append(f"{where}: {' and '.join(keys)} is not as in {folder / FILE}; {mend}")
    if wrong:
        raise InputError("\n".join(wrong))


def _served_columns(contract: Contract) -> dict[str, Column]:
    names = [name for name in contract.named("feature", "timestamp", "target") if name in contract.kept]
    return {name: contract.columns[name] for name in names}
