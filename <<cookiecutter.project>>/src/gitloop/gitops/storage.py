"""Where data and models are kept: the DVC remote of .dvc/config, or nowhere but in a cache."""

from __future__ import annotations

import argparse
from configparser import ConfigParser
from pathlib import Path

from gitloop import layout, ui
from gitloop.errors import InputError
from gitloop.gitops import actions

HERE = "cache"  # no remote: what is kept is what this machine, or the cache of Actions, keeps
NONE = "none"  # a remote that this run has no credentials for


def run(_: argparse.Namespace) -> None:
    """`gitloop storage`."""
    found = kind(Path())
    words = {
        HERE: "no DVC remote: data and models are kept in the cache and made again from the source where it is empty",
        NONE: "a fork gets no credentials: what changed is made again from the source",
    }
    ui.say(words.get(found, f"data and models are kept in a DVC remote ({found})"))
    actions.output(kind=found)


def kind(root: Path) -> str:
    """`cache` without a remote, `none` for a fork, else the scheme of the remote's URL (`local`: a folder).

    Raises `InputError` where .dvc/config names a remote that it does not describe.
    """
    config = ConfigParser()
    config.read([root / layout.DVC_CONFIG, root / layout.DVC_CONFIG.with_name("config.local")], encoding="utf-8")
    name = config.get("core", "remote", fallback=None)
    if name is None:
        return HERE
    url = config.get(f"'remote \"{name}\"'", "url", fallback=None)
    if url is None:
        raise InputError(
            f"{layout.DVC_CONFIG}: core.remote is {name}, which has no url; run `dvc remote add {name} URL`"
        )
    scheme, found, _ = url.partition("://")
    return NONE if actions.fork() else scheme if found else "local"
