"""`make screenshots`: the pictures in docs/images/, taken of a project that was really run (`make demo`).

    python docs/screenshots.py PROJECT

Needs Chromium (`chromium`, or what $CHROMIUM names).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).resolve().parent / "images"
LARGEST = 150_000  # bytes
QUIET = [
    "--headless",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--virtual-time-budget=5000",
]
# Of which file of a project, and which part of it: from and to, in pixels below its top.
PAGES = {"profile.png": ("reports/profile.html", 900, 1750), "site.png": ("site/index.html", 0, 1000)}
WIDTH = 1200
SHOWN = {"report.svg": ("gitloop report", 27)}  # what is typed, and how many lines of the answer are shown
COLUMNS = 120


def main(project: Path) -> int:
    IMAGES.mkdir(exist_ok=True)
    run(project, "gitloop gate")  # what the report sums up
    run(project, "gitloop site")
    for name, (page, top, bottom) in PAGES.items():
        if not (project / page).is_file():
            print(f"{project / page}: not there; run `make demo`, and `dvc checkout` in its project", file=sys.stderr)
            return 1
        photograph(project / page, IMAGES / name, top, bottom)
    for name, (command, lines) in SHOWN.items():
        record(project, command, IMAGES / name, lines)
    too_large = [path.name for path in IMAGES.iterdir() if path.stat().st_size > LARGEST]
    print(f"{IMAGES}: {', '.join(sorted(path.name for path in IMAGES.iterdir()))}")
    if too_large:
        print(f"larger than {LARGEST:,} bytes: {', '.join(too_large)}", file=sys.stderr)
    return bool(too_large)


def photograph(page: Path, to: Path, top: int, bottom: int) -> None:
    """A part of a page, in as few colours as it looks well in."""
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "taken.png"
        subprocess.run(
            [
                os.environ.get("CHROMIUM", "chromium"),
                *QUIET,
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{bottom}",
                f"--screenshot={taken}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        part = Image.open(taken).convert("RGB").crop((0, top, WIDTH, bottom))
        part.quantize(colors=128).save(to, optimize=True)


def record(project: Path, command: str, to: Path, lines: int) -> None:
    """What a command says first in a terminal, with fonts that are here."""
    said = run(project, command).splitlines()[:lines]
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(f"[bold]$[/] {command}", highlight=False)
        console.print(Text.from_ansi("\n".join(said)))
        svg = console.export_svg(title=project.name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")
    to.write_text(svg, encoding="utf-8", newline="\n")


def run(project: Path, command: str) -> str:
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONPATH": str(project / "src")}
    done = subprocess.run(command.split(), cwd=project, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
