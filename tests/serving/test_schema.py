"""A thousand requests made from the service's own description: no error of the server, no answer but as described."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from service import Packaged, serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
PATHS = ("/predict", "/predict_batch", "/feedback", "/model")


@pytest.mark.parametrize(("task", "name", "cases"), [("binary", "linear", 750), ("regression", "boosting", 300)])
def test_schemathesis_finds_nothing(packaged: Packaged, tmp_path: Path, task: str, name: str, cases: int) -> None:
    with serving(packaged(task, name)) as server:
        command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{server.url}/docs.json"]
        command += [f"--checks={CHECKS}", f"--max-examples={cases // 3}", "--seed=1", "--generation-database=none"]
        command += [f"--include-path={path}" for path in PATHS]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
        assert found is not None, done.stdout
        assert int(found.group(1)) >= cases
        assert found.group(1) == found.group(2)
        assert "Traceback" not in (server.folder / "server.log").read_text()
