"""Change one value in a YAML file, and nothing else of it: a diff of one line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ruamel.yaml import YAML

SCALAR = re.compile(r"""(["'])(?P<quoted>[^"']*)\1|(?P<plain>[^\s,}\]#"'>|&*!]+)""")


def replaced(content: bytes, place: Sequence[str], value: str) -> bytes | None:
    """The file with another plain scalar at a place, which must be there; None where it is not written on one line.

    `place` leads through mappings: `["window", "until"]`.
    """
    *above, last = place
    node = YAML().load(content)
    for name in above:
        node = node[name]
    row, column = node.lc.value(last)
    lines = content.decode("utf-8").splitlines(keepends=True)
    found = SCALAR.match(lines[row][column:])
    if found is None:
        return None
    lines[row] = lines[row][:column] + value + lines[row][column + found.end() :]
    return "".join(lines).encode("utf-8")
