"""A fair draw from the log's files that costs a scan and no more: the lines whose random id lies below a bound.

The lines of one prediction and of its feedback are drawn together, so that what is joined, repeated or contradicted
in the draw is so in the log, in the same share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from gitloop.errors import InputError

STEPS = 4096  # shares are told in 4096ths: three digits of an id
DIGITS = "0123456789abcdef"
BLOCK = 1 << 22  # bytes read at a time
GATHERED = 1 << 28  # bytes of many files that are read as one
LOOKED_AT = 1 << 20  # bytes from which the length of a line is estimated
START = re.compile(rb'\{"id": ?"')


def fraction(rows: float, most: int | None) -> float:
    """The share of so many rows that leaves `most`; 1 where there are no more."""
    if most is None or rows <= most:
        return 1.0
    return max(1, int(STEPS * most / rows)) / STEPS


def below(share: float) -> str:
    """The id that those drawn are below."""
    return f"{round(share * STEPS):03x}"


def share(files: Sequence[Path], most: int | None) -> float:
    """As `fraction`, of files of which only the size and some lines are looked at."""
    if most is None or not files:
        return 1.0
    size, seen, lines = 0, 0, 0
    for path in files:
        try:
            size += path.stat().st_size
            if seen < LOOKED_AT:
                with path.open("rb") as file:
                    head = file.read(LOOKED_AT // 16)
                seen += len(head)
                lines += head.count(b"\n")
        except OSError:
            continue
    return fraction(size * lines / seen if seen else 0.0, most)


def readable(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files that can be read as lines of text, and the names of the others."""
    good, bad = [], []
    for path in files:
        try:
            with path.open("rb") as file:
                head = file.read(LOOKED_AT // 16)
            torn = bool(head) and not any(_begun(line) for line in head.split(b"\n"))
        except OSError:
            torn = True
        if torn:
            bad.append(path.name)
        else:
            good.append(path)
    return good, bad


def _begun(line: bytes) -> bool:
    return line.lstrip()[:2] == b'{"'


def heads(files: Sequence[Path], most: int) -> Iterator[bytes]:
    """The first lines of each file, about `most` in all."""
    for path in files:
        with suppress(FileNotFoundError), path.open("rb") as file:
            yield from islice(file, -(-most // len(files)))


def gathered(files: Sequence[Path], share: float, folder: Path) -> Iterator[Path]:
    """The drawn lines of the files, one after the other in a file below `folder`, about so many at a time.

    DuckDB holds a buffer for each file that it reads, and a log has one for each process and hour. A file that was
    deleted meanwhile is left out. Raises `InputError` where there is no room.
    """
    into = folder / "lines.jsonl"
    waiting = list(files)
    while waiting:
        size = 0
        try:
            with into.open("wb") as kept:
                while waiting and size < GATHERED:
                    with suppress(FileNotFoundError):
                        for part in _lines(waiting.pop(0), share):
                            size += kept.write(part)
        except OSError as error:
            raise InputError(
                f"{folder.parent}: the log cannot be copied there ({error.strerror}); free it, or set TMPDIR"
            ) from error
        yield into


def _lines(path: Path, share: float) -> Iterator[bytes]:
    if share < 1:
        bound = round(share * STEPS)
        for block in _blocks(path):
            for line in _drawn(block, bound):
                yield line + b"\n"
        return
    last = b""
    with path.open("rb", buffering=0) as file:
        while read := file.read(BLOCK):
            yield read
            last = read
    if last and not last.endswith(b"\n"):
        yield b"\n"  # else the next file's first line would be torn too


def _blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, each with a line's end before it."""
    rest = b"\n"
    with path.open("rb", buffering=0) as file:
        while read := file.read(BLOCK):
            cut = read.rfind(b"\n")
            if cut < 0:
                rest += read
                continue
            yield rest + read[: cut + 1]
            rest = b"\n" + read[cut + 1 :]
    if len(rest) > 1:
        yield rest


def _drawn(block: bytes, bound: int) -> Iterator[bytes]:
    begin = START.match(block, 1)
    prefix = b"\n" + (begin[0] if begin else b'{"id":"')
    for digit in range(-(-bound // 256)):
        needle = prefix + DIGITS[digit].encode()
        place = block.find(needle)
        while place >= 0:
            end = block.find(b"\n", place + 1)
            line = block[place + 1 :] if end < 0 else block[place + 1 : end]
            if _number(line[len(prefix) - 1 : len(prefix) + 2]) < bound:
                yield line
            place = block.find(needle, place + len(line))


def _number(digits: bytes) -> int:
    try:
        return int(digits, 16)
    except ValueError:
        return STEPS
