"""GitHub's OpenAPI description (npm `@octokit/openapi`): its examples, and whether requests and answers are as it says.

The package is fetched once, into a folder that Git ignores.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import pytest

PACKAGE, VERSION = "@octokit/openapi", "23.0.2"
CACHE = Path(__file__).resolve().parents[2] / ".octokit_cache" / f"{VERSION}.json"
# Any operation may end so, and the description does not repeat it everywhere.
ALWAYS = {400, 401, 403, 404, 422, 429, 500, 502, 503}


@cache
def description() -> dict[str, Any]:
    """Skips where it is not here and npm is not either."""
    CACHE.parent.mkdir(exist_ok=True)
    with CACHE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not CACHE.exists():
            _fetch()
    loaded: dict[str, Any] = json.loads(CACHE.read_text(encoding="utf-8"))
    return loaded


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"GitHub's OpenAPI description is not here: install npm, which fetches {PACKAGE}")
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        subprocess.run([npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True, capture_output=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/generated/api.github.com.json")
            assert member is not None
            temporary = Path(folder) / "api.json"
            temporary.write_bytes(member.read())
        temporary.replace(CACHE)


@cache
def _text(name: str) -> str:
    return json.dumps(description()["components"]["examples"][name]["value"])


def example(name: str, base_url: str) -> Any:
    """A copy of a published example, whose addresses begin with `base_url`."""
    return json.loads(_text(name).replace("https://api.github.com", base_url))


class Operation:
    """What the description says of a method of a path (without the prefix of an Enterprise Server)."""

    def __init__(self, method: str, path: str) -> None:
        self.name = f"{method} {path}"
        known = [one for pattern, one in _paths() if method.lower() in one and pattern.fullmatch(path)]
        self._operation = known[0][method.lower()] if known else None

    def request(self, address: str, body: Any) -> list[str]:
        """What is wrong with a request: the operation, a query parameter, the body."""
        if self._operation is None:
            return [f"{self.name}: GitHub has no such operation"]
        wrong = []
        parameters = [_resolved(one) for one in self._operation.get("parameters", [])]
        queries = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
        for name, text in parse_qsl(urlsplit(address).query):
            if name not in queries:
                wrong.append(f"{self.name}: GitHub has no query parameter {name}")
            else:
                value: Any = int(text) if queries[name].get("type") == "integer" else text
                wrong += self._faults(f"query {name}", queries[name], value)
        declared = _resolved(self._operation.get("requestBody", {})).get("content", {})
        if body is not None and not declared:
            wrong.append(f"{self.name}: GitHub takes no body")
        elif isinstance(body, bytes):
            wrong += [] if "application/octet-stream" in declared else [f"{self.name}: takes no file"]
        elif body is not None:
            schema = declared["application/json"]["schema"]
            wrong += self._faults("request", schema, body)
            unknown = set(body) - set(schema.get("properties", body)) if isinstance(body, dict) else set()
            wrong += [f"{self.name}: request: {name} is not published" for name in sorted(unknown)]
        return wrong

    def answer(self, status: int, body: Any) -> list[str]:
        """What is wrong with an answer: its status, or what it holds."""
        responses = {} if self._operation is None else self._operation["responses"]
        if str(status) not in responses:
            schema: Any = {"$ref": "#/components/schemas/basic-error"}
            return self._faults(str(status), schema, body) if status in ALWAYS else [f"{self.name}: never {status}"]
        content = _resolved(responses[str(status)]).get("content")
        if not content:
            return [] if body is None or status in ALWAYS else [f"{self.name}: {status} has no body"]
        return self._faults(str(status), content["application/json"]["schema"], body)

    def _faults(self, what: str, schema: Any, value: Any) -> list[str]:
        found = _validator(json.dumps(schema)).iter_errors(value)
        return [f"{self.name}: {what}: {list(one.instance_path)}: {one.message[:300]}" for one in found]


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """What GitHub has, by the pattern of the path; of several that match the first leaves the least open."""
    paths: dict[str, Any] = description()["paths"]
    ordered = sorted(paths.items(), key=lambda one: one[0].count("{"))
    return [(_pattern(path), one) for path, one in ordered]


def _pattern(path: str) -> re.Pattern[str]:
    """The name of a ref has slashes."""
    pattern = re.escape(path).replace(r"/git/ref/\{ref\}", "/git/ref/.+")
    return re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", pattern))


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    return _at(node["$ref"]) if "$ref" in node else node


def _at(reference: str) -> dict[str, Any]:
    node: Any = description()
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    found: dict[str, Any] = node
    return found


@cache
def _validator(schema: str) -> Any:
    """OpenAPI 3.0 has `nullable` where JSON Schema has a type; all that the schema refers to comes along."""
    definitions: dict[str, Any] = {}
    root = _as_json_schema(json.loads(schema), definitions)
    return jsonschema_rs.Draft202012Validator({**root, "$defs": definitions})


def _as_json_schema(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_as_json_schema(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        name = reference.rpartition("/")[2]
        if name not in definitions:
            definitions[name] = True
            definitions[name] = _as_json_schema(_at(reference), definitions)
        made: dict[str, Any] = {"$ref": f"#/$defs/{name}"}
    else:
        kept = {key: one for key, one in node.items() if key not in ("example", "examples")}
        made = {key: _as_json_schema(one, definitions) for key, one in kept.items()}
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made
