"""Mermaid itself reads the charts, in Node. It is fetched once, into a folder that Git ignores."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = ("mermaid@12.3.0", "jsdom@29.1.1")
CACHE = Path(__file__).resolve().parents[1] / ".mermaid_cache"
PARSE = """\
import { JSDOM } from "jsdom";
const { window } = new JSDOM("<!doctype html><body></body>");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
let text = "";
for await (const chunk of process.stdin) text += chunk;
const said = [];
for (const chart of JSON.parse(text)) {
  try { await mermaid.parse(chart); said.push(""); } catch (error) { said.push(String(error.message ?? error)); }
}
console.log(JSON.stringify(said));
"""


def charts(markdown: str) -> list[str]:
    return re.findall(r"^```mermaid\n(.*?)^```$", markdown, flags=re.DOTALL | re.MULTILINE)


def complaints(sources: list[str]) -> list[str]:
    """What Mermaid has against each chart; empty where it can be drawn. Skips where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"Mermaid's charts are not parsed: install npm, which fetches {' and '.join(PACKAGES)}")
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready, script = CACHE / "ready", CACHE / "parse.mjs"
        if not ready.exists() or ready.read_text() != " ".join(PACKAGES):
            (CACHE / "package.json").write_text('{"private": true}')
            command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
            subprocess.run(command, cwd=CACHE, check=True, capture_output=True)
            ready.write_text(" ".join(PACKAGES))
        script.write_text(PARSE)
    done = subprocess.run(
        ["node", str(script)], input=json.dumps(sources), capture_output=True, text=True, check=True, cwd=CACHE
    )
    said: list[str] = json.loads(done.stdout)
    return said
