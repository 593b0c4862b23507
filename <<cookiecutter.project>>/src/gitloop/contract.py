"""The contract: the single declaration of a table's columns, from which every other view of them follows.

A contract is written in `conf/data/<name>.yaml` and read through `gitloop.settings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Type = Literal["numeric", "categorical", "boolean", "datetime", "text"]
Role = Literal["feature", "target", "timestamp", "key", "sensitive", "pii", "ignored"]
Task = Literal["binary", "multiclass", "regression"]

TARGET_TYPES: dict[str, tuple[str, ...]] = {
    "binary": ("boolean", "categorical"),
    "multiclass": ("categorical",),
    "regression": ("numeric",),
}


class Frozen(BaseModel):
    """A value that cannot change and has no key that is not declared: a typo is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    """Categories are text: `[1, 2]` in YAML means the labels "1" and "2"."""
    if isinstance(value, list | tuple):
        return tuple(
            str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item for item in value
        )
    return value


class Column(Frozen):
    """What one column holds and what it is for."""

    type: Type = Field(description="What the column holds")
    role: Annotated[tuple[Role, ...], BeforeValidator(_as_tuple, json_schema_input_type=Role | tuple[Role, ...])] = (
        Field(default=("feature",), description="What it is for: one role, or a list of them")
    )
    nullable: bool = Field(default=False, description="Whether values may be missing")
    unique: bool = Field(default=False, description="Whether every value must differ")
    range: tuple[float | None, float | None] | None = Field(
        default=None, description="Of numbers: [lowest, highest], both allowed; null leaves an end open"
    )
    categories: Annotated[
        tuple[str, ...] | None,
        BeforeValidator(_as_text, json_schema_input_type=tuple[str | int | float, ...] | None),
    ] = Field(default=None, description="Of a categorical column: the labels that are allowed; null: any")
    positive: str | None = Field(
        default=None, description="Of a categorical target of a binary task: the label that is predicted"
    )
    case: Literal["lower", "upper"] | None = Field(
        default=None, description="Brings text to this case before it is checked"
    )
    timezone: str | None = Field(
        default=None,
        description="Of a datetime column: where times without an offset were read off; they are kept as UTC",
    )
    logged: bool = Field(default=True, description="Whether a service writes it to its prediction log")
    pii: Literal["drop", "hash"] | None = Field(
        default=None,
        description="Of personal data: left out as rows are read (drop, as where nothing is said), or hashed by a key",
    )
    unit: str | None = Field(default=None, description="For people")
    description: str | None = Field(default=None, description="For people, and for those who call the service")

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(f"unknown time zone {value!r}; use an IANA name such as Europe/Madrid or UTC")
        return value

    @field_validator("range")
    @classmethod
    def _ordered_range(
        cls, value: tuple[float | None, float | None] | None
    ) -> tuple[float | None, float | None] | None:
        if value is not None and value[0] is not None and value[1] is not None and value[0] > value[1]:
            raise ValueError("the lowest value is above the highest; swap them")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        belongs = {
            "range": ("numeric",),
            "categories": ("categorical",),
            "positive": ("categorical",),
            "case": ("categorical", "text"),
            "timezone": ("datetime",),
        }
        for key, types in belongs.items():
            if getattr(self, key) is not None and self.type not in types:
                raise ValueError(f"`{key}` belongs to {' or '.join(types)} columns, not to {self.type}; remove it")
        if self.case and any(name != getattr(name, self.case)() for name in self.categories or ()):
            raise ValueError(f"`case: {self.case}` changes every value, so a category in another case never occurs")
        if "timestamp" in self.role and self.type != "datetime":
            raise ValueError(f"a timestamp is a datetime column, not {self.type}; set `type: datetime`")
        if "timestamp" in self.role and (self.nullable or "pii" in self.role):
            wrong = "`nullable`" if self.nullable else "the role pii"
            raise ValueError(f"every row needs its timestamp, to be split by time; remove {wrong}")
        if self.categories is not None and len(set(self.categories)) != len(self.categories):
            raise ValueError("a category is named twice; name each once")
        if not self.role:
            raise ValueError("no role; leave `role` out for a feature, or say `role: ignored`")
        if not self.logged and {"target", "timestamp", "pii", "ignored"} & set(self.role):
            raise ValueError("`logged: false` belongs to features, keys and sensitive columns without pii; remove it")
        alone = {"target", "ignored"} & set(self.role)
        if alone and len(self.role) > 1:
            raise ValueError(f"`{min(alone)}` stands alone; remove the other roles")
        if "pii" in self.role and "feature" in self.role:
            raise ValueError("personal data cannot be a feature; remove one of the roles pii and feature")
        self._personal()
        return self

    def _personal(self) -> None:
        """Raises `ValueError` where `pii` does not suit the column."""
        if self.pii and "pii" not in self.role:
            raise ValueError("`pii` belongs to columns with `role: pii`; remove it, or add the role")
        if "pii" in self.role and "key" in self.role and not self.hashed:
            raise ValueError("a key that is dropped tells no rows apart; say `pii: hash`, or remove the role key")
        if self.hashed and self.type not in ("categorical", "text"):
            raise ValueError(f"a hash is no {self.type}; say `type: categorical`, or `pii: drop`")
        if self.hashed and (self.categories is not None or "sensitive" in self.role):
            wrong = "`categories`" if self.categories is not None else "the role sensitive"
            raise ValueError(f"of a hash nothing can be told; remove {wrong}, or say `pii: drop`")

    @property
    def hashed(self) -> bool:
        return self.pii == "hash"

    @property
    def dropped(self) -> bool:
        """Whether its values are left out as rows are read."""
        return "ignored" in self.role or ("pii" in self.role and not self.hashed)

    def has(self, *roles: Role) -> bool:
        return any(role in self.role for role in roles)


class Rules(Frozen):
    """What must hold of the table as a whole."""

    min_rows: int = Field(default=100, ge=1, description="Fewer valid rows than this stop the pipeline")
    max_invalid: float = Field(
        default=0.01, ge=0, le=1, description="A larger share of rows that break the contract stops the pipeline"
    )
    max_missing: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A larger share of nulls in any feature or in the target stops the pipeline",
    )
    extra_columns: Literal["drop", "refuse"] = Field(
        default="drop", description="What is done with columns of the source that are not declared"
    )


class Window(Frozen):
    """Rows with since <= timestamp < until. Times are UTC."""

    since: datetime | None = Field(
        default=None, description="The first timestamp that is read, in UTC; null: from the beginning"
    )
    until: datetime | None = Field(
        default=None, description="Rows before this timestamp are read, in UTC; null: to the end"
    )

    @field_validator("since", "until")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("`since` is not before `until`; move one of them")
        return self


class Contract(Frozen):
    """Columns by name, the task, and the rules of the table."""

    task: Task = Field(description="What kind of target is predicted")
    columns: dict[str, Column] = Field(description="What each column holds, by its name")
    rules: Rules = Rules()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        targets = self.named("target")
        if len(targets) != 1:
            raise ValueError(
                f"needs exactly one column with `role: target`, found {len(targets)}: {', '.join(targets) or 'none'}"
            )
        if len(self.named("timestamp")) > 1:
            names = ", ".join(self.named("timestamp"))
            raise ValueError(f"has more than one timestamp ({names}); keep one, make the others datetime features")
        if not self.features:
            raise ValueError("has no feature; give at least one column `role: feature`")
        name, target = self.target, self.columns[self.target]
        if target.type not in TARGET_TYPES[self.task]:
            allowed = " or ".join(TARGET_TYPES[self.task])
            raise ValueError(f"{name}: a {self.task} target is {allowed}, not {target.type}; change `type` or `task`")
        if self.task == "binary" and target.type == "categorical":
            if target.categories is None or len(target.categories) != 2:
                raise ValueError(f"{name}: a categorical binary target needs two `categories`")
            if target.positive not in target.categories:
                raise ValueError(f"{name}: `positive` must be one of {', '.join(target.categories)}")
        elif target.positive is not None:
            raise ValueError(f"{name}: `positive` belongs to a categorical target of a binary task; remove it")
        if any(column.has("target") and column.nullable for column in self.columns.values()):
            raise ValueError(f"{name}: a target cannot be nullable; remove `nullable`")
        return self

    def named(self, *roles: Role) -> list[str]:
        """Names of the columns with any of these roles, in the order declared."""
        return [name for name, column in self.columns.items() if column.has(*roles)]

    def items(self, *types: Type) -> Iterator[tuple[str, Column]]:
        return ((name, column) for name, column in self.columns.items() if column.type in types)

    @property
    def target(self) -> str:
        return self.named("target")[0]

    @property
    def timestamp(self) -> str | None:
        return next(iter(self.named("timestamp")), None)

    @cached_property  # asked for at each prediction
    def features(self) -> list[str]:
        return self.named("feature")

    @property
    def keys(self) -> list[str]:
        return self.named("key")

    @cached_property
    def kept(self) -> list[str]:
        """Columns that go on past validation: all but ignored and personal data."""
        return [name for name, column in self.columns.items() if not column.has("ignored", "pii")]
