"""The bill of materials of an image: CycloneDX, from the locked packages and the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gitloop.errors import InputError


def sbom(requirements: list[str], name: str, version: str, model: dict[str, Any]) -> dict[str, Any]:
    """The same for the same packages. `model`: a component (name, version, hashes)."""
    done = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--no-validate", "-"],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(f"cyclonedx-py: cannot read the locked packages ({reason[-1]}); run `make lock`")
    bill: dict[str, Any] = json.loads(done.stdout)
    bill["metadata"]["component"] = {"type": "application", "bom-ref": "service", "name": name, "version": version}
    bill["components"].append({"type": "machine-learning-model", "bom-ref": "model", **model})
    everything = sorted(component["bom-ref"] for component in bill["components"])
    bill["dependencies"] = [{"ref": "service", "dependsOn": everything}]
    return bill


def model_component(folder: Path, name: str, sha256: str) -> dict[str, Any]:
    """A packaged model, by the hash of its manifest."""
    return {"name": f"{name} ({folder})", "version": sha256[:12], "hashes": [{"alg": "SHA-256", "content": sha256}]}
