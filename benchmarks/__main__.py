"""`python -m benchmarks [name …]`: run the benchmarks named, or all, and print a table for each."""

from __future__ import annotations

import sys

from benchmarks import (
    call,
    commands,
    generation,
    monitoring,
    own,
    pipeline,
    push,
    registry,
    scale,
    scoring,
    serving,
    site,
    year,
)

ALL = {
    "generation": generation.generation,
    "help": commands.help_text,
    "nothing": commands.nothing_changed,
    "candidate": pipeline.one_candidate,
    "scale": scale.ten_million,
    "pipeline": pipeline.against_one_script,
    "push": push.a_push,
    "versions": registry.versions,
    "deploys": registry.deploys,
    "call": call.one_row,
    "serving": serving.against_peers,
    "soak": serving.soak,
    "scoring": scoring.against_chunks,
    "scoring-memory": scoring.flat,
    "init": own.init,
    "first-model": own.first_model,
    "monitoring": monitoring.against_evidently,
    "monitoring-large": monitoring.ten_million,
    "alarms": monitoring.false_alarms,
    "decided": monitoring.decided,
    "year": year.flights,
    "site": site.page,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
