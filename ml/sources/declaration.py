"""What a source is: the declaration that turns landed files into raw rows.

Reading files, checking rows and storing them do not belong here.
"""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ml.errors import BadDeclaration
from ml.sources.policies import Drift

ColumnType = Literal["integer", "real", "text", "timestamp", "date", "boolean"]
SQL_TYPES: Mapping[ColumnType, str] = {
    "integer": "BIGINT",
    "real": "DOUBLE",
    "text": "VARCHAR",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "boolean": "BOOLEAN",
}
Cadence = Literal["daily", "weekly", "once"]
_STEPS: Mapping[Cadence, int] = {"daily": 1, "weekly": 7, "once": 0}
_NAME = r"^[a-z][a-z0-9_]*$"


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CsvFormat(_Declared):
    """How the file's bytes become cells: text, one header line, quotes doubled inside quotes."""

    type: Literal["csv"] = "csv"
    encoding: Literal["utf-8", "latin-1", "cp1252"] = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    null_values: tuple[str, ...] = ("",)

    @property
    def between_cells(self) -> str:
        """What stands between the cells of a row that is shown whole."""
        return self.delimiter


class ParquetFormat(_Declared):
    """How the file's values become cells: each as DuckDB and Arrow write it as text; a null has no value.

    The declared type of a column is what counts, as for text: a file may hold integers as text, and so on.
    """

    type: Literal["parquet"]

    @property
    def between_cells(self) -> str:
        """What stands between the cells of a row that is shown whole."""
        return ", "


def _with_type(declared: Any) -> Any:
    return {"type": "csv", **declared} if isinstance(declared, Mapping) else declared


Format = Annotated[CsvFormat | ParquetFormat, Field(discriminator="type"), BeforeValidator(_with_type)]


class Column(_Declared):
    """One column of the file; `header` is its name there when it differs from its name in raw.

    A timestamp without offset is UTC; one with an offset is turned into UTC. `pattern` is a regular
    expression (RE2) for the whole cell. A file is refused when more than the share `max_missing` of its rows
    have no value.
    """

    name: str = Field(pattern=_NAME)
    type: ColumnType
    header: str | None = None
    nullable: bool = False
    description: str = ""
    minimum: float | datetime.date | datetime.datetime | None = None
    maximum: float | datetime.date | datetime.datetime | None = None
    allowed: tuple[str, ...] = ()
    pattern: str | None = None
    max_missing: float | None = Field(default=None, ge=0, le=1)

    @property
    def in_file(self) -> str:
        """The column's name in the file's header."""
        return self.header or self.name

    @property
    def sql_type(self) -> str:
        """The column's DuckDB type in raw."""
        return SQL_TYPES[self.type]


class Lookup(_Declared):
    """A value found by `column` in another source's current raw rows, named `name` in expressions.

    `also` adds keys that the other source lacks; where both have one, the other source's value holds.
    """

    name: str = Field(pattern=_NAME)
    column: str
    source: str = Field(pattern=_NAME)
    key: str
    value: str
    type: ColumnType = "text"
    also: dict[str, str] = Field(default_factory=dict)


class Fact(_Declared):
    """Columns that become known at one time; `known_at` is SQL that yields that time in UTC.

    `columns: ["*"]` means every column that no other fact names.
    """

    name: str = Field(pattern=_NAME)
    columns: tuple[str, ...] = Field(min_length=1)
    known_at: str
    description: str = ""


class Corrections(_Declared):
    """When what a later file for a day (or of a source with cadence once) changes was known.

    `known_at` is SQL that yields that time in UTC for each row of such a file, also over the row's `event_at`
    and `known_at`: `loaded_at` when it is known by being taken in, `known_at` when it counts as if it had
    come at first, a column when history is replayed. `columns` tell of the correction, not of the row: a row
    that differs in them alone is unchanged.
    """

    known_at: str
    columns: tuple[str, ...] = ()


class Rule(_Declared):
    """SQL that is true for a good row; a row for which it is false or NULL is a bad one."""

    name: str = Field(pattern=_NAME)
    expression: str
    message: str


class BadRows(_Declared):
    """What happens to rows that break a rule: kept out of raw in quarantine, or the whole file refused."""

    action: Literal["quarantine", "fail"]
    max_share: float = Field(default=0.05, ge=0, le=1)


class Source(_Declared):
    """Where raw rows come from: one YAML entry.

    Expressions are DuckDB SQL over the columns, the lookups, the `derived` values before them, `day` (in the
    file's name; of a week its first) and `loaded_at`. The files of a source with `predictions_of` are written
    from that model's prediction log. Make one by `Source.declare`, which checks that the parts fit.
    """

    name: str = Field(pattern=_NAME)
    description: str = Field(min_length=1)
    owners: tuple[str, ...] = ()
    cadence: Cadence
    start: datetime.date | None = None
    end: datetime.date | None = None
    format: Format = CsvFormat()
    columns: tuple[Column, ...] = Field(min_length=1)
    key: tuple[str, ...] = Field(min_length=1)
    duplicates: Literal["quarantine", "keep"] = "quarantine"
    unique: tuple[tuple[str, ...], ...] = ()
    min_rows: int = Field(default=1, ge=0)
    max_rows: int | None = Field(default=None, ge=1)
    lookups: tuple[Lookup, ...] = ()
    derived: dict[str, str] = Field(default_factory=dict)
    event_at: str
    facts: tuple[Fact, ...] = Field(min_length=1)
    corrections: Corrections
    rules: tuple[Rule, ...] = ()
    bad_rows: BadRows
    drift: Drift = Drift()
    predictions_of: str | None = Field(default=None, pattern=_NAME)

    @classmethod
    def declare(cls, attributes: Mapping[str, Any], where: str = "") -> Self:
        """The source that `attributes` describe; `where` (a file) goes into the error.

        Raises BadDeclaration, which names the field, its value and what is allowed.
        """
        from ml.places import placed
        from ml.sources.consistency import check, explain

        name = str(attributes.get("name", "?"))
        try:
            source = cls.model_validate(attributes)
        except ValidationError as error:
            field, value, expected = explain(error)
            raise BadDeclaration(name, placed(where, name, field), field, value, expected) from error
        for field, value, expected in check(source):
            raise BadDeclaration(name, placed(where, name, field), field, value, expected)
        return source

    @property
    def every_days(self) -> int:
        """How many days lie between two files; 0 for a source with cadence once."""
        return _STEPS[self.cadence]

    @property
    def known_columns(self) -> tuple[str, ...]:
        """`<fact>_known_at` of each fact when there are several, else nothing."""
        return tuple(f"{fact.name}_known_at" for fact in self.facts) if len(self.facts) > 1 else ()

    def fact_of(self, column: str) -> Fact:
        """The fact that a declared column belongs to."""
        named = next((fact for fact in self.facts if column in fact.columns), None)
        return named or next(fact for fact in self.facts if fact.columns == ("*",))

    def names_in(self, expression: str) -> frozenset[str]:
        """The words of an expression, and of the derived values in it, whatever they name."""
        words = set(re.findall(r"[a-z_][a-z0-9_]*", re.sub(r"'[^']*'", "", expression.lower())))
        derived = (self.names_in(self.derived[name]) for name in words & set(self.derived))
        return frozenset(words.union(*derived))

    def raw_columns(self) -> dict[str, str]:
        """Column names of `raw.<name>` with their DuckDB types, in order."""
        declared = {column.name: column.sql_type for column in self.columns}
        names = ("event_at", "known_at", *self.known_columns, "loaded_at", "corrected_at")
        times = dict.fromkeys(names, "TIMESTAMP")
        return {**declared, "source_file_id": "VARCHAR", "row_number": "INTEGER", "day": "DATE", **times}

    def version_columns(self) -> dict[str, str]:
        """Column names of `raw.<name>_versions` with their DuckDB types, in order."""
        corrected = (name.replace("known_at", "corrected_at") for name in self.known_columns)
        return {**self.raw_columns(), **dict.fromkeys((*corrected, "superseded_at"), "TIMESTAMP")}

    def digest(self) -> str:
        """SHA-256 over everything that decides which rows a file gives."""
        told = json.dumps(
            _without_words(self.model_dump(mode="json", exclude={"owners", "start", "end", "predictions_of"}))
        )
        return hashlib.sha256(told.encode()).hexdigest()


def _without_words(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _without_words(value) for name, value in told.items() if name != "description"}
    return [_without_words(value) for value in told] if isinstance(told, list) else told
