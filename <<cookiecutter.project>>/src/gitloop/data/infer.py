"""Infer a contract from a table: what each column is, what it is for, and why."""

from __future__ import annotations

from gitloop.contract import Column
from gitloop.data import decide, dialect, identity, measure, outcome, personal, survey, written
from gitloop.data.decide import CLOSED, Decision, Table
from gitloop.data.measure import Reading
from gitloop.data.sniff import Opened
from gitloop.data.survey import Look
from gitloop.errors import InputError
from gitloop.settings import nearest

LEAST = 50  # rows: fewer cannot be divided, cross-validated and judged


def infer(opened: Opened, target: str, task: str | None) -> Table:
    """What the table is. Raises `InputError` where it cannot be learned from."""
    _target_is_there(opened, target)
    rows, whole = survey.sample(opened)
    if rows < LEAST:
        number = "1 row" if rows == 1 else f"{rows} rows"
        raise InputError(f"{opened.shown}: has {number}; at least {LEAST} are needed to train and to judge")
    decimal, mixed = survey.decimal(opened)
    looks = survey.looks(opened, decimal == ",")
    _target_is_read(opened, looks[target])
    wanted = outcome.kind(looks[target], task, opened.shown)
    types = {name: decide.type_of(look) for name, look in looks.items()}
    if wanted == "multiclass" or (wanted == "binary" and types[target] != "boolean"):
        types[target] = "categorical"
    null = survey.tokens(opened, types)
    columns = {name: Column(type=kind) for name, kind in types.items()}
    reading = Reading(opened, columns, decimal == ",", null, whole)
    measure.read(reading)
    count, measured = measure.measure(reading)
    if whole:
        measured = {name: one._replace(distinct=looks[name].distinct) for name, one in measured.items()}
    closed = [name for name, look in looks.items() if types[name] == "categorical" and look.distinct <= CLOSED]
    asked = [*closed, *([target] if wanted != "regression" and target not in closed else [])]
    levels = measure.levels(reading, asked, measured)
    labels = levels.get(target) if wanted != "regression" else []
    if labels is not None and len(labels) > outcome.MOST_CLASSES:
        labels = None
    if labels is None or (wanted == "binary" and len(labels) != 2):
        number = f"more than {outcome.MOST_CLASSES}" if labels is None else str(len(labels))
        raise InputError(
            f"{opened.shown}: {target}: the target holds {number} labels among all rows, {looks[target].distinct} in "
            "the sample; mend the rare ones in the source, or say --task"
        )
    found = outcome.declared(wanted, types[target] == "boolean", labels or None, measured[target])
    table = Table(count, {}, found, target, reading, measured, levels)
    for name, look in looks.items():
        table.decisions[name] = decide.decide(opened, table, look, types[name])
    table.decisions[target] = Decision(target, {**found.keys, "role": "target"}, found.why)
    identity.keys(table, looks)
    identity.timestamp(table, looks)
    table.unsure += _doubts(opened, table, mixed)
    if not table.features:
        reasons = "; ".join(
            f"{one.name}: {one.why}" for one in list(table.decisions.values())[:5] if one.name != target
        )
        raise InputError(f"{opened.shown}: no column is left to predict {target} from ({reasons})")
    return table


def _target_is_there(opened: Opened, target: str) -> None:
    if target in opened.names:
        return
    if any(target in line and not dialect.like_values(line, []) for line in opened.lines[:20]):
        raise InputError(
            f"{opened.shown}: has no column {target!r} in its first line, but a later line names it; "
            "remove the lines above that one"
        )
    if opened.headless:
        raise InputError(
            f"{opened.shown}: has no column {target!r}, and its first line looks like values, not names; add a header"
        )
    alike = [name for name in opened.names if name.casefold() == target.casefold()]
    mend = f"; did you mean {alike[0]!r}?" if alike else nearest(target, opened.names)
    raise InputError(f"{opened.shown}: has no column {target!r}{mend or '; name one of its columns with --target'}")


def _target_is_read(opened: Opened, look: Look) -> None:
    """Numbers that are not written as numbers would be told to be too many labels."""
    if look.distinct > outcome.MOST_CLASSES and look.numbers < outcome.NUMBERS:
        about = written.doubt(look, survey.some(opened, look.name))
        if about:
            raise InputError(f"{opened.shown}: {look.name}: the target cannot be read as a number: {about}")


def _doubts(opened: Opened, table: Table, mixed: bool) -> list[str]:
    found = list(table.outcome.unsure)
    if mixed:
        found.append("the decimals: some columns have a point, some a comma; the commoner is taken")
    if not opened.complete:
        found.append(f"rows beyond the first {table.rows:,}: they were not looked at")
    lost = table.rows - table.measured[table.target].filled
    if lost:
        found.append(f"{table.target}: missing in {lost:,} of {table.rows:,} rows, which are set aside")
    groups = [name for name in table.features if personal.protected(name)]
    if groups:
        found.append(f"{', '.join(groups)}: add the role sensitive, and differences between groups are judged")
    return found
