"""Values that must show up nowhere, and a search of everything that could hold them."""

from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

SECRET = "kanariekey-" + "k" * 20
TEXT, SURNAME, NUMBER, DATE = "kanariemail", "Kanarievogel", 73_918_462_000, "1903-07-"
TOKENS = (b"kanarie", b"739184620", b"1903-07", b"1903, 7,")  # a date's repr too
ENCODED = re.compile(rb"[A-Za-z0-9+/]{40,}={0,2}")
DEEP = 6  # archives in archives


def planted(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with personal data beside its columns: text, few names, numbers, dates, and one that is a key."""
    count = np.arange(len(frame))
    return frame.assign(
        email=[f"{TEXT}{row}@example.org" for row in count],
        surname=[f"{SURNAME} {row % 40}" for row in count],
        phone=NUMBER + count,
        date_of_birth=[f"{DATE}{1 + row % 28:02}" for row in count],
        account=[f"kanarie-account-{row}" for row in count],
    )


def found(content: bytes, name: str = "", deep: int = DEEP) -> Iterator[str]:
    """Where a canary is in some bytes: themselves, and what is packed in them."""
    low = content.lower()
    for token in TOKENS:
        if any(token.decode().encode(code) in low for code in ("utf-8", "utf-16-le", "utf-32-le")):
            yield f"{name}: {token.decode()}"
    if deep:
        for inside, unpacked in _unpacked(content, name):
            yield from found(unpacked, f"{name}!{inside}", deep - 1)


def anywhere(root: Path, but: frozenset[Path] = frozenset()) -> tuple[list[str], int]:
    """Where a canary is in any file below `root` but some, and how many files were looked at."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.relative_to(root) not in but]
    hits = [f"{path.relative_to(root)}: its name" for path in files if "kanarie" in str(path.relative_to(root)).lower()]
    for path in files:
        hits += found(path.read_bytes(), str(path.relative_to(root)))
    return hits, len(files)


def _unpacked(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """What archives, compressed files, Parquet and base64 hold. What only looks like one holds nothing."""
    if content.startswith(b"PAR1"):
        yield "rows", str(pq.read_table(io.BytesIO(content)).to_pylist()).encode()
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from ((member, archive.read(member)) for member in archive.namelist())
    elif content.startswith(b"\x1f\x8b"):
        yield "gzip", gzip.decompress(content)
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for one in tar.getmembers():
                if file := tar.extractfile(one):
                    yield one.name, file.read()
    elif content[:1] == b"x":  # an object of Git, or zlib by itself
        try:
            yield "zlib", zlib.decompress(content)
        except zlib.error:
            return
    elif not name.endswith(".py"):
        for index, run in enumerate(ENCODED.findall(content)):
            yield f"base64 {index}", base64.b64decode(run[: len(run) // 4 * 4])
