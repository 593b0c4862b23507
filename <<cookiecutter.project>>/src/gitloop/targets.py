"""Hydra targets: what a dotted name in `_target_` means, and what was meant by one that means nothing."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from typing import Any

from gitloop.errors import InputError
from gitloop.settings import nearest


def locate(where: str, target: str, known: Sequence[str] = ()) -> Any:
    """The class or function with this dotted name. Raises `InputError` with the nearest right name.

    `known`: names to suggest where not even the package is there.
    """
    parts = target.split(".")
    found: Any = None
    for index, part in enumerate(parts):
        inside, path = ".".join(parts[:index]), ".".join(parts[: index + 1])
        try:
            found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
        except Exception as error:  # a module may fail in any way while it is imported
            if not (isinstance(error, ModuleNotFoundError) and error.name == path):
                raise InputError(f"{where}: {path} cannot be imported ({type(error).__name__}: {error})") from error
            if inside:
                mend = _near(found, inside, part)
            else:
                mend = nearest(target, known) if known else f"; is {part} among the project's dependencies?"
            raise InputError(f"{where}: there is no {target!r}{mend}") from error
    if not callable(found):
        raise InputError(f"{where}: {target!r} is not a class or function; name one")
    return found


def _near(module: Any, inside: str, part: str) -> str:
    names = [name for name in dir(module) if not name.startswith("_")]
    names += [found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))]
    near = difflib.get_close_matches(part, names, n=1)
    return f"; did you mean '{inside}.{near[0]}'?" if near else f"; {inside} has no {part!r}"


def packages(spec: Any) -> set[str]:
    """The root packages of every `_target_` in a Hydra object, nested ones too."""
    return {target.partition(".")[0] for target in names(spec)}


def names(spec: Any) -> Iterator[str]:
    """Every `_target_` in a Hydra object."""
    if isinstance(spec, dict):
        if isinstance(spec.get("_target_"), str):
            yield spec["_target_"]
        for value in spec.values():
            yield from names(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from names(value)
