"""One delimited text file: its header, and how DuckDB reads it, every column as text."""

from __future__ import annotations

import csv
import io
import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from gitloop.contract import Column
from gitloop.data.places import reason
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError

DELIMITERS = (",", ";", "\t", "|")
UNPACKED = (".zip", ".bz2", ".xz")  # compressed as DuckDB cannot read it
LONGEST = 1 << 20  # characters that a header may have


class TextFile(NamedTuple):
    """A file of one of fsspec's file systems."""

    system: Any
    name: str  # as DuckDB reads it
    shown: str  # what to call it in a message
    encoding: str  # a codec's name

    @contextmanager
    def unpacked(self) -> Iterator[BinaryIO]:
        """The file unpacked. What goes wrong while reading is an `InputError`."""
        try:
            if self.name.endswith(".zip"):
                self._refuse_several()
            with self.system.open(self.name, "rb", compression="infer") as raw:
                yield raw
        except UnicodeError as error:
            raise InputError(
                f"{self.shown}: is not {self.encoding.removesuffix('-sig')}; set `source.encoding`"
            ) from error
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.shown}: cannot be unpacked ({reason(error)}); was it cut off?") from error
        except (OSError, ValueError, csv.Error) as error:
            raise InputError(f"{self.shown}: cannot be read ({reason(error)}); is it delimited text?") from error

    @contextmanager
    def lines(self, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
        """The file as text, unpacked. What goes wrong while reading is an `InputError`."""
        with self.unpacked() as raw:
            yield io.TextIOWrapper(raw, encoding=self.encoding, errors=errors, newline="")

    def _refuse_several(self) -> None:
        """The first file of an archive would be read, and the others would be lost without a word."""
        with self.system.open(self.name, "rb") as packed, zipfile.ZipFile(packed) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX/" not in name]
        if len(names) != 1:
            raise InputError(f"{self.shown}: holds {len(names)} files; one is read: unpack them, or pack one alone")


def header(file: TextFile, delimiter: str | None, known: Mapping[str, Column]) -> tuple[list[str], str]:
    """The column names and the delimiter: where None, the one that finds the most of the contract's columns."""
    with file.lines("surrogateescape") as lines:  # what is read ahead is not judged here: DuckDB tells the line
        first = lines.readline(LONGEST)
        first.encode(file.encoding)
        parsed = [
            ([name.strip() for name in next(csv.reader([first], delimiter=one), [])], one)
            for one in ([delimiter] if delimiter else DELIMITERS)
        ]
    if not first:
        raise InputError(f"{file.shown}: is empty; it needs a header and rows")
    names, delimiter = max(parsed, key=lambda found: (len({*found[0]} & {*known}), len(found[0])))
    names = named(names)
    if not {*names} & {*known}:  # the names are not shown: they may be the first row's values
        raise InputError(
            f"{file.shown}: the first line names none of the contract's columns; "
            "add a header, or set `source.delimiter` or `source.encoding`"
        )
    folded = [name.casefold() for name in names]  # DuckDB does not tell upper case from lower
    for index, name in enumerate(names):
        if name.casefold() in folded[:index]:
            raise InputError(f"{file.shown}: the header names {name!r} twice (in any case of letters); rename one")
    return names, delimiter


def named(names: Sequence[str]) -> list[str]:
    """The names of a header. One without a name, as pandas and R write an index, is called after its place."""
    return [name or f"unnamed_{place}" for place, name in enumerate(names, 1)]


def readable(file: TextFile, folder: Path) -> str:
    """The name of a file with the same text that DuckDB can read: in UTF-8, and plain or gzip."""
    if file.encoding == "utf-8-sig" and not file.name.endswith(UNPACKED):
        return file.name
    converted = folder / "converted.csv"
    with file.lines() as lines, converted.open("w", encoding="utf-8", newline="") as out:
        shutil.copyfileobj(lines, out)
    return str(converted)


def query(file: str, names: Sequence[str], delimiter: str, null: Sequence[str], columns: str) -> str:
    """SQL that reads `columns` of a file with a header of `names`; a row that is not like the header is an error."""
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"SELECT {columns} FROM read_csv({literal(file)}, auto_detect = false, columns = {{{types}}}, header = true, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', nullstr = [{', '.join(map(literal, null))}], "
        f"strict_mode = true, hive_partitioning = false)"
    )


def column(name: str, known: Mapping[str, Column], decimal: str) -> str:
    """SQL for one column, with a decimal comma turned into a point where the contract has a number."""
    source = identifier(name)
    number = name in known and known[name].type == "numeric"
    return f"replace({source}, ',', '.') AS {source}" if number and decimal == "," else source


def failure(shown: str, error: Exception) -> InputError:
    """What DuckDB found wrong with a file, without the values of the line in which it did."""
    message = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", message)
    place = f"{shown}: line {line[1]}" if line else shown
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if counts:
        return InputError(
            f"{place}: has {counts[2]} fields where the header has {counts[1]}; mend it, or was it cut off?"
        )
    known = {
        "unterminated quote": "a quote is not closed; mend it, or was the file cut off?",
        "nvalid unicode": "is not UTF-8; set `source.encoding`, such as cp1252",
        "state machine": "is not strict CSV; see that all lines end alike and that quotes in quoted text are doubled",
        "aximum line size": "is longer than 2 MB; is a quote not closed?",
    }
    for sign, saying in known.items():
        if sign in message:
            return InputError(f"{place}: {saying}")
    return InputError(f"{place}: cannot be read as CSV ({reason(error)})")
