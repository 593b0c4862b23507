"""What the rendered files and the hooks need and cookiecutter does not give them; loaded by it as a Jinja extension."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension

HERE = str(Path.cwd())  # where somebody types; cookiecutter is elsewhere when it runs hooks


class Answers(Extension):
    """The filter `yaml`: text as a quoted YAML scalar. The variable `given`: the names of the answers handed over.

    The variable `here`: the folder that a path in an answer starts from.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # `tojson` writes what is beyond U+FFFF as two escapes, which YAML reads as two broken characters.
        environment.filters["yaml"] = lambda text: json.dumps(text, ensure_ascii=False)
        environment.globals["given"] = _given()
        environment.globals["here"] = HERE
        for name in ("generate", "hooks"):  # which of them says that a hook failed has changed
            logging.getLogger(f"cookiecutter.{name}").addFilter(_without_traceback)


def _given() -> list[str]:
    """Names in `cookiecutter … name=value` or `extra_context`.

    cookiecutter drops those it does not know without a word, so they are read from its own variables.
    """
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "cookiecutter" and frame.f_globals.get("__name__") == "cookiecutter.main":
            return list(frame.f_locals.get("extra_context") or {})
        frame = frame.f_back
    return []


def _without_traceback(record: logging.LogRecord) -> bool:
    """A hook has said what is wrong; cookiecutter's own traceback below it would bury that."""
    record.exc_info = None
    return True
