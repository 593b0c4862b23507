"""Whether a file can hold what looks like a secret: asked of all of its text at once, before a scan line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector
from detect_secrets.settings import get_plugins
from detect_secrets.transformers import get_transformed_file
from detect_secrets.types import NamedIO

WORDS = re.compile("|".join(DENYLIST), re.IGNORECASE)


def possible(file: Path) -> bool:
    """False where none of the plugins in use finds anything in any line of a file, nor as they read its format."""
    return any(_in_text([line.rstrip() for line in lines], str(file)) for lines in _readings(file))


def _readings(file: Path) -> Iterator[list[str]]:
    """A file's lines, each way that a scan reads them: as they are, or as `key = "value"` of YAML and the like."""
    with cast(NamedIO, file.open()) as opened:  # in the encoding of the scan
        try:
            yield get_transformed_file(opened) or opened.readlines()
        except UnicodeDecodeError:  # a scan leaves such a file out
            return
        opened.seek(0)
        yield get_transformed_file(opened, use_eager_transformers=True) or []


def _in_text(lines: list[str], name: str) -> bool:
    text = "\n".join(lines)
    return any(
        any(pattern.search(text) for pattern in _patterns(type(plugin)))
        if isinstance(plugin, RegexBasedDetector)
        else any(plugin.analyze_line(name, line) for line in _candidates(plugin, lines, text))
        for plugin in get_plugins()
    )


def _candidates(plugin: Any, lines: list[str], text: str) -> list[str]:
    """The lines in which a plugin that is more than patterns can find something."""
    if not isinstance(plugin, KeywordDetector):
        return lines
    return [line for line in lines if WORDS.search(line)] if WORDS.search(text) else []


@cache
def _patterns(plugin: Any) -> list[re.Pattern[str]]:
    """A plugin's patterns, of which `^` and `$` are the ends of a line in a text."""
    return [re.compile(pattern.pattern, pattern.flags | re.MULTILINE) for pattern in plugin.denylist]
