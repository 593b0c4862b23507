"""Where each artefact lives. Paths are relative to the root of the repository, as in dvc.yaml."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CONF = Path("conf")
PARAMS = Path("params.yaml")
ANSWERS = Path(".gitloop.json")  # what was generated: the answers, the template and its commit
SCHEMAS = Path(".schemas")  # of conf/ and environments/, for editors
CODE = ("src", "dvc.yaml", "requirements.txt")  # what runs the pipeline

# Tables, in the DVC cache.
RAW = Path("data/raw.parquet")
VALID = Path("data/valid.parquet")
QUARANTINE = Path("data/quarantine.parquet")
TRAIN = Path("data/train.parquet")
TEST = Path("data/test.parquet")
REFERENCE = Path("data/reference.parquet")
PREDICTIONS = Path("data/predictions.parquet")

# Small results, in Git: what a reviewer compares.
SOURCE = Path("metrics/source.json")
VALIDATION = Path("metrics/validation.json")
SPLIT = Path("metrics/split.json")
CANDIDATES = Path("metrics/candidates")
SELECTED = Path("metrics/selected.json")
EVALUATION = Path("metrics/evaluation.json")

# Pages and plots, in the DVC cache.
PROFILE = Path("reports/profile.html")
PLOTS = Path("reports/plots")

# The chosen model as it is served, in the DVC cache.
MODEL = Path("model")
CARD = Path("MODEL_CARD.md")  # its card, in Git

# Where a Bento's model comes from; written when it is built.
DVC_CONFIG = Path(".dvc/config")
ORIGIN = Path("origin.json")
# What `gitloop build` makes, and the packages that a service installs, by the model's format (`make lock`).
DIST = Path("dist")
DVC_LOCK = Path("dvc.lock")
SERVING_LOCKS = {"onnx": Path("requirements-serving.txt"), "skops": Path("requirements-serving-skops.txt")}

# Written by verbs that depend on the state of the world; ignored by Git.
GATES = Path("reports/gates.json")
COMPARISON = Path("reports/comparison.json")
CHECKS = Path("reports/checks.json")
RUN = Path("reports/run.json")
REPORT = Path("reports/report.md")
UNSCORED = Path("reports/unscored.parquet")  # what the last `gitloop score` set aside
SCORED = Path("reports/scored.json")  # what it did

MONITORING = Path("reports/monitoring")  # a file for each window, and a folder with its pages
DECISION = Path("reports/decision.json")
LABELS = Path("labels")  # a folder for each export of tasks to Label Studio

SITE = Path("site")  # the page of all of this, for a browser

DEPLOYED = Path(".deploy")  # environments on this machine


def program(name: str) -> str:
    """A command of the environment that gitloop runs in, whatever PATH says."""
    return str(Path(sys.executable).parent / name)


def data_conf(name: str) -> Path:
    """The file that declares the source, the window and the contract."""
    return CONF / "data" / f"{name}.yaml"


def in_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def deployments() -> Path:
    """What holds `.deploy/`: the clone; in Actions, which cleans that, a folder of the runner's user."""
    if not in_actions():
        return Path.cwd()
    return Path.home() / ".gitloop" / os.environ.get("GITHUB_REPOSITORY", "")


def environment(name: str) -> Path:
    """The file that says which version runs where."""
    return Path("environments") / f"{name}.yaml"


def candidate_metrics(name: str) -> Path:
    return CANDIDATES / f"{name}.json"


def candidate_model(name: str) -> Path:
    return Path("models") / f"{name}.skops"


def candidate_log(name: str) -> Path:
    return Path("logs") / name
