"""Where data and models are kept, run by act: a folder, and a server that speaks S3, as DVC's remote."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from hub.hub import Hub
from moto.server import ThreadedMotoServer
from project import edit, run
from repositories import git

BUCKET = "models"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "eu-central-1"}
Files = Callable[[], set[str]]


@pytest.fixture
def kept(here: Hub, tmp_path: Path) -> Path:
    """The data and models of main as they lie in a remote."""
    (tar,) = (here.store / "caches").glob("*/*.tar")
    with tarfile.open(tar) as archive:
        archive.extractall(tmp_path / "kept", filter="data")
    return tmp_path / "kept/.dvc/cache"


@pytest.fixture
def s3(here: Hub, kept: Path) -> Iterator[tuple[list[str], Files]]:
    """The commands that make it the remote, and what it holds."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address, port = server.get_host_and_port()
    url = f"http://{address}:{port}"
    client = boto3.client("s3", endpoint_url=url, **KEYS)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for file in kept.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), BUCKET, f"flights/{file.relative_to(kept)}")
    here.variables.update(AWS_ROLE="arn:aws:iam::123456789012:role/gitloop", AWS_REGION="eu-central-1")

    def files() -> set[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {Path(one["Key"]).name for page in pages for one in page.get("Contents", [])}

    yield [f"remote add --default storage s3://{BUCKET}/flights", f"remote modify storage endpointurl {url}"], files
    server.stop()


@pytest.fixture
def folder(here: Hub, kept: Path) -> tuple[list[str], Files]:
    return [f"remote add --default storage {kept}"], lambda: {one.name for one in kept.rglob("*") if one.is_file()}


@pytest.mark.parametrize(("kind", "login"), [("folder", False), ("s3", True)])
def test_a_remote_gives_what_is_needed_and_gets_what_is_new(
    kind: str, login: bool, here: Hub, request: pytest.FixtureRequest
) -> None:
    commands, files = request.getfixturevalue(kind)
    here.jobs = {"push": "train", "workflow_dispatch": "train"}
    clone = here.clone()
    git(clone, "switch", "--quiet", "--create", "kept")
    for command in commands:
        run(clone, "dvc", *command.split())
    edit(clone / "conf/candidate/linear.yaml", linear__classifier__C=0.5)
    run(clone, "gitloop", "params")
    git(clone, "commit", "--quiet", "--all", "--message", "Keep elsewhere")
    before = files()

    runs = here.push(clone, "kept")
    train = runs[0]
    assert train.ok, train.log[-3000:]
    # Of the steps within an action act tells in words alone.
    assert ("Success - Main Log in to AWS" in train.log) is login
    assert "Main Where data and models are kept" in train.log
    assert "Main Data and models of earlier runs" not in train.log
    about = train.read("run.json")
    assert about["storage"] == ("local" if kind == "folder" else kind)
    assert about["ran"][0] == "train@linear"
    everything = sum(_outputs(here, "main").values())
    assert 0 < about["pulled_bytes"] < everything

    came = here.pushes[0].commit
    assert set(_outputs(here, came)) <= files()
    assert files() - before

    # The run that checks the new head needs only what judges it: the model and the test slice.
    again = next(one for one in runs if one.event == "workflow_dispatch")
    assert again.ok
    assert again.read("run.json")["ran"] == []
    assert again.read("run.json")["pulled_bytes"] < about["pulled_bytes"]


def _outputs(here: Hub, revision: str) -> dict[str, int]:
    """Bytes of what the cache keeps, by the name it has there; folders are listed in a file of their own."""
    stages = yaml.safe_load(git(here.origin, "show", f"{revision}:dvc.lock"))["stages"]
    outs = [out for stage in stages.values() for out in stage["outs"]]
    return {out["md5"][2:]: out["size"] for out in outs if not out["path"].startswith(("metrics/", "MODEL_CARD"))}
