"""What a Bento holds: the code that the service loads, the model, its configuration and origin, the locked packages."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from importlib import metadata
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gitloop import layout, targets
from gitloop.errors import InputError
from gitloop.files import write_json, write_text
from gitloop.serving.origin import Origin
from gitloop.serving.signature import Signature
from gitloop.settings import Settings

SERVICE = "gitloop.serving.service"
STORE = "gitloop.modeling.store"  # loaded for a model that is not compiled
OURS = Path(__file__).resolve().parents[2]  # the folder that holds gitloop
DOCKERFILE = Path(__file__).with_name("Dockerfile")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Code(NamedTuple):
    """Modules, and what they need besides."""

    files: dict[str, Path]  # place below the root → file
    libraries: dict[str, str]  # name that is imported → file or setting that names it


def code(settings: Settings, signature: Signature, src: Path) -> Code:
    """The modules that the service may load, of gitloop and of the user's code in `src`, found by what they import."""
    named = {signature.derive: "conf/features/: derive"} if signature.derive else {}
    if signature.format == "skops":
        spec = settings.candidate[signature.name].estimator(settings.data.task)
        named |= dict.fromkeys(targets.names(spec), f"conf/candidate/{signature.name}.yaml")
    finder = ModuleFinder([str(src), str(OURS)], excludes=[] if signature.format == "skops" else [STORE])
    finder.import_hook(SERVICE)
    libraries = {}
    for target, where in named.items():
        if module := _module(target, src):
            finder.import_hook(module)
        else:
            libraries[target.partition(".")[0]] = where
    found: dict[str, Any] = finder.modules
    paths = {name: Path(module.__file__ or "") for name, module in found.items()}
    files: dict[str, Path] = {}
    for path in paths.values():
        for folder in (src, OURS):
            if path.is_relative_to(folder):
                files.setdefault(path.relative_to(folder).as_posix(), path)
    for name, users in finder.badmodules.items():
        if (library := name.partition(".")[0]) not in {*sys.stdlib_module_names, "gitloop"}:
            libraries.setdefault(library, str(paths[min(users)]).removeprefix(f"{src.parent}/"))
    return Code(dict(sorted(files.items())), libraries)


def _module(target: str, src: Path) -> str:
    """The module in `src` that holds what is named; empty where it is a library's."""
    place, found = src, []
    for part in target.split("."):
        place /= part
        if not (place.is_dir() or place.with_suffix(".py").is_file()):
            break
        found.append(part)
    return ".".join(found)


def lock(signature: Signature) -> Path:
    """The locked packages of the image."""
    return layout.SERVING_LOCKS[signature.format]


def requirements(path: Path) -> list[str]:
    """The lines of a lock that count on Linux, with their hashes. Raises `InputError` where there is no lock."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run `make lock`") from error
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        pin, _, hashes = line.partition(" --hash")
        if pin.strip() and not pin.lstrip().startswith("#"):
            read = Requirement(pin)
            if read.marker is None or read.marker.evaluate({"sys_platform": "linux", "platform_system": "Linux"}):
                found.append(f"{read.name}{read.specifier} --hash{hashes}")
    return found


def check(code: Code, path: Path) -> None:
    """Raises `InputError`, a line for each library that is imported and is not among the locked packages."""
    locked = {canonicalize_name(line.partition("==")[0]) for line in requirements(path)}
    holders = metadata.packages_distributions()
    wrong = [
        f"{where}: needs {library}, which {path} does not hold; add it to a `serving` group in pyproject.toml and run "
        "`make lock`"
        for library, where in sorted(code.libraries.items())
        if not locked & {canonicalize_name(name) for name in holders.get(library, [library])}
    ]
    if wrong:
        raise InputError("\n".join(wrong))


def put(folder: Path, code: Code, settings: Settings, signature: Signature, origin: Origin) -> str:
    """Write the content of the Bento into an empty folder; its digest.

    The digest is that of places and contents: the same model, code, configuration and origin have the same.
    """
    for place, path in code.files.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copytree(layout.MODEL, folder / layout.MODEL)
    shutil.copyfile(layout.PARAMS, folder / layout.PARAMS)
    shutil.copyfile(lock(signature), folder / "requirements.txt")
    write_json(folder / layout.ORIGIN, origin.model_dump())
    write_text(folder / "Dockerfile", _dockerfile(settings))
    write_json(folder / "bentofile.yaml", _bentofile(settings, {}))  # JSON is YAML
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    labels = {"digest": digest.hexdigest()[:32], "commit": origin.commit or "none"}
    write_json(folder / "bentofile.yaml", _bentofile(settings, labels))
    return labels["digest"]


def _dockerfile(settings: Settings) -> str:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("python:3.11-slim", f"python:{PYTHON}-slim")
    kept = settings.serving.log
    return text.replace("ARG LOG=predictions", f"ARG LOG={json.dumps(kept.folder)}") if kept else text


def _bentofile(settings: Settings, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name(settings),
        "service": f"{SERVICE}:Service",
        "description": f"{settings.project.name}: {settings.project.description or settings.data.target}",
        "labels": labels,
        "include": ["*"],
        "python": {"requirements_txt": "requirements.txt", "lock_packages": False},
        "docker": {"dockerfile_template": "Dockerfile"},
    }


def name(settings: Settings) -> str:
    """Of Bento and image."""
    return settings.project.package.replace("_", "-")
