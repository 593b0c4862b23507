"""How a delimited text file is written: its encoding, its delimiter, whether it has a header."""

from __future__ import annotations

import codecs
import csv
import re

from gitloop.data import delimited
from gitloop.errors import InputError

LOOKED_AT = 1 << 20  # bytes from which the delimiter is told
LINES = 200


def encoding(file: delimited.TextFile) -> str:
    """The codec that reads the whole file: UTF-8 with or without a mark, UTF-16 with one, else Windows-1252."""
    with file.unpacked() as raw:
        first = raw.read(4)
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        decoder, block = codecs.getincrementaldecoder("utf-8")(), first
        try:
            while block:
                if b"\0" in block:
                    raise InputError(f"{file.shown}: holds zero bytes, so it is not delimited text; save it as CSV")
                decoder.decode(block)
                block = raw.read(LOOKED_AT)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _single_byte(file)
    return "utf-8-sig"


def _single_byte(file: delimited.TextFile) -> str:
    """cp1252 where no line is UTF-8. Raises `InputError` where some are: read as either, the others would be wrong."""
    lines: dict[bool, int] = {}
    codec = "cp1252"
    with file.unpacked() as raw:
        for number, line in enumerate(raw, 1):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                lines.setdefault(True, number)
            except UnicodeDecodeError:
                lines.setdefault(False, number)
                try:
                    line.decode("cp1252")
                except UnicodeDecodeError:
                    codec = "latin-1"
            if len(lines) == 2:
                raise InputError(
                    f"{file.shown}: mixes encodings: line {lines[True]} is UTF-8, line {lines[False]} is not; "
                    "save it in one encoding"
                )
    return codec


def header(file: delimited.TextFile) -> tuple[list[str], str, list[list[str]]]:
    """The first line's fields, the delimiter by which the lines have equally many, and some lines after it."""
    with file.lines("surrogateescape") as lines:
        start = lines.read(LOOKED_AT)
    if not start.strip():
        raise InputError(f"{file.shown}: is empty; it needs a header and rows")
    best: tuple[tuple[bool, int], str, list[list[str]]] | None = None
    for delimiter in delimited.DELIMITERS:
        try:
            parsed = list(csv.reader(start.splitlines()[: LINES + 1], delimiter=delimiter))[:LINES]
        except csv.Error:
            continue
        rows = [row for row in parsed if row]
        width = len(rows[0])
        even = sum(len(row) == width for row in rows) >= 0.9 * len(rows)
        if width > 1 and (best is None or (even, width) > best[0]):
            best = ((even, width), delimiter, rows)
    if best is None:
        raise _one_column(file.shown, start)
    _, delimiter, rows = best
    if len(rows) < 2:
        raise InputError(f"{file.shown}: has a header and no rows; put some there")
    return delimited.named([name.strip() for name in rows[0]]), delimiter, rows[1:]


def _one_column(shown: str, start: str) -> InputError:
    if start.lstrip()[:20].lower().startswith(("<!doctype", "<html")):
        return InputError(f"{shown}: is a web page, not a table; fetch the file that it links to")
    lines = start.splitlines()[:LINES]
    for number, line in enumerate(lines, 1):
        for one in delimited.DELIMITERS:
            if line.count(one) and sum(other.count(one) == line.count(one) for other in lines) > len(lines) / 2:
                return InputError(f"{shown}: its table begins in line {number}; remove the lines above it")
    return InputError(
        f"{shown}: the first line has one column; a table needs a target and a feature, "
        f"divided by one of {' '.join(map(repr, delimited.DELIMITERS))}"
    )


def like_values(header: list[str], rows: list[list[str]]) -> bool:
    """No name is a number or a date; a first line that holds some is a row."""
    value = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?|\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}|")
    seen = {cell.strip() for row in rows for cell in row if cell.strip()}
    return any(value.fullmatch(name) for name in header) or sum(name in seen for name in header) > len(header) / 2
