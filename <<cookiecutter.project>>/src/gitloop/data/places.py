"""Where a source's files are: paths, globs, and URLs of any file system that fsspec knows."""

from __future__ import annotations

import base64
import glob
import hashlib
import http.client
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import Request as WebRequest
from urllib.request import urlopen

import fsspec

from gitloop.errors import InputError

TIMEOUT = 60  # seconds without an answer from a web server
SECRET = re.compile(r"(?i)([?&][^=&#\s]*(?:token|secret|sig|key|pass|pwd|credential|auth|policy)[^=&#\s]*=)[^&#\s\"']+")


def redact(text: str) -> str:
    """The text without passwords, tokens and signatures in the URLs that it holds."""
    text = re.sub(r"(://[^\s/@:]*):\S*@", r"\1:***@", text)
    text = re.sub(r"://[^\s/@:]+@", "://***@", text)
    return SECRET.sub(r"\1***", text)


def reason(error: BaseException) -> str:
    """The first line of an error's message, without secrets and DuckDB's name for the kind."""
    lines = [line.strip() for line in redact(str(error)).splitlines() if line.strip()]
    return re.sub(r"^[A-Z][\w ]* Error: ", "", lines[0]).rstrip(".;") if lines else type(error).__name__


def is_web(location: str) -> bool:
    return location.startswith(("http://", "https://"))


def find(location: str) -> tuple[Any, list[str]]:
    """The fsspec file system of a path, glob or URL, and the names of its files as DuckDB reads them, sorted.

    Raises `InputError` where nothing matches or the place cannot be reached.
    """
    if "://" not in location:
        local = fsspec.filesystem("file")
        if Path(location).is_dir():
            raise InputError(f"{location}: is a folder; say which files, such as {Path(location).as_posix()}/*")
        names = [location] if Path(location).is_file() else sorted(glob.glob(location, recursive=True))  # noqa: PTH207 the pattern may be absolute
        names = [name for name in names if Path(name).is_file()]
        if not names:
            raise InputError(f"{location}: no such file; put it there or mend `source.path`")
        return local, names
    try:
        system, path = fsspec.core.url_to_fs(location)
        names = sorted(system.glob(path)) if glob.has_magic(path) else [path] * bool(system.isfile(path))
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{redact(location)}: cannot be read ({reason(error)}); mend the URL or install that"
        ) from error
    except Exception as error:
        raise InputError(
            f"{redact(location)}: cannot be reached ({reason(error)}); check address and access"
        ) from error
    if not names:
        raise InputError(f"{redact(location)}: no such file; put it there or mend `source.path`")
    return system, [system.unstrip_protocol(name) for name in names]


def digests(location: str) -> dict[str, str]:
    """SHA-256 of each local file, by its name below the part of the path that has no wildcard; none for a URL."""
    if "://" in location:
        return {}
    names = find(location)[1]
    fixed = Path(location).parent
    while glob.has_magic(str(fixed)) and not fixed.exists():
        fixed = fixed.parent
    found = {}
    for name in names:
        with Path(name).open("rb") as file:
            found[Path(name).relative_to(fixed).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def download(url: str, folder: Path) -> Path:
    """Fetch a web page's file into `folder`, in constant memory. Raises `InputError` where it is not there whole."""
    shown = redact(url)
    file = folder / f"download{Path(urlsplit(url).path).suffix}"
    try:
        with urlopen(_request(url), timeout=TIMEOUT) as answer, file.open("wb") as out:  # noqa: S310 http(s) only: is_web
            if answer.headers.get_content_type() == "text/html":
                raise InputError(
                    f"{shown}: gave a web page, not a table; check the address, and that it is shared with everybody "
                    "(a Google Sheet: File > Share > Publish to the web)"
                )
            shutil.copyfileobj(answer, out)
            expected = answer.headers.get("Content-Length")
    except HTTPError as error:
        error.close()
        raise InputError(
            f"{shown}: the server answers {error.code} {error.reason}; check the address and who may read it"
        ) from error
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise InputError(f"{shown}: cannot be fetched ({redact(str(why))}); check the address and run again") from error
    size = file.stat().st_size
    if expected is not None and size != int(expected):
        raise InputError(f"{shown}: broke off after {size} of {expected} bytes; run again")
    return file


def _request(url: str) -> WebRequest:
    """A user and password in the URL go into a header, which is not sent on to where a redirection leads."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    request = WebRequest(urlunsplit(parts._replace(netloc=host)))  # noqa: S310 http(s) only: is_web
    if user:
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(unquote(user).encode()).decode())
    return request
