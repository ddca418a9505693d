"""Whether the parts of a source's declaration fit together.

What the parts are does not belong here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import duckdb
from pydantic import BaseModel, ValidationError

from ml.errors import nearest
from ml.sources import clocks
from ml.sources.declaration import SQL_TYPES, CsvFormat, ParquetFormat, Source

Fault = tuple[str, object, str]  # field, its value, what was expected
_TIMES = ("event_at", "known_at", "loaded_at", "corrected_at", "superseded_at")
_POLICY = (
    "when corrections of this source are known, which has no default: `corrections: {known_at: loaded_at}` "
    "(when a corrected file is taken in), `corrections: {known_at: known_at}` (as if it had come at first: "
    "what it replaces was never known), or `corrections: {known_at: <SQL>}` with SQL that yields a "
    "TIMESTAMP in UTC from the columns, day, event_at, known_at and loaded_at"
)
_FORMATS: Mapping[str, type[BaseModel]] = {"csv": CsvFormat, "parquet": ParquetFormat}
_RESERVED = ("source_file_id", "row_number", "day", *_TIMES)


def explain(error: ValidationError) -> Fault:
    """The first fault pydantic found, with the fields that are nearest to an unknown one."""
    first = error.errors()[0]
    place = [part for i, part in enumerate(first["loc"]) if not (i and first["loc"][i - 1] == "format")]
    field = ".".join(map(str, place))
    if field.partition(".")[0] == "corrections" and first["type"] != "extra_forbidden":
        return field, first["input"] if first["type"] != "missing" else None, _POLICY
    if first["type"] == "extra_forbidden":
        like = nearest(str(first["loc"][-1]), _fields_at(first["loc"]))
        return field, first["input"], f"a known field. {like}"
    if first["type"] == "missing":
        return field, None, "a value: this field has no default"
    if first["type"] == "union_tag_invalid":
        allowed = re.findall("'([^']*)'", str(first["ctx"]["expected_tags"]))
        tag = str(first["ctx"]["tag"])
        return f"{field}.type", tag, f"{' or '.join(map(repr, allowed))}. {nearest(tag, allowed)}"
    if first["type"] == "literal_error":
        allowed = re.findall("'([^']*)'", str(first["ctx"]["expected"]))
        return field, first["input"], f"{first['ctx']['expected']}. {nearest(str(first['input']), allowed)}"
    return field, first["input"], str(first["msg"])


def check(source: Source) -> Iterator[Fault]:
    """Every part that does not fit the others; nothing when the declaration is sound."""
    yield from _names(source)
    yield from _dates(source)
    yield from _facts(source)
    yield from _promises(source)
    yield from _expressions(source)


def _promises(source: Source) -> Iterator[Fault]:
    """What rules and policies name."""
    types = {column.name: column.type for column in source.columns}
    for i, columns in enumerate(source.unique):
        yield from _unknown(f"unique.{i}", columns, types)
    if source.max_rows is not None and source.max_rows < source.min_rows:
        yield "max_rows", source.max_rows, f"at least min_rows, {source.min_rows}"
    for column in source.columns:
        if column.pattern is not None:
            yield from _pattern(f"columns.{column.name}.pattern", column.pattern)
    for field, policy in (
        ("drift.categories", source.drift.categories),
        ("drift.units", source.drift.units),
    ):
        if policy and source.cadence == "once":
            yield field, "columns", "nothing, since a source with cadence once has no days to compare"
        yield from _unknown(f"{field}.columns", policy.columns if policy else (), types)
    for name in source.drift.units.columns if source.drift.units else ():
        if types[name] not in {"integer", "real"}:
            yield "drift.units.columns", name, f"a column of type integer or real, not {types[name]}"
    if source.drift.categories:
        named = source.drift.categories.columns
        for name in source.drift.categories.known:
            if name not in named:
                yield (
                    "drift.categories.known",
                    name,
                    f"a column of drift.categories.columns. {nearest(name, named)}",
                )


def _pattern(field: str, pattern: str) -> Iterator[Fault]:
    with duckdb.connect() as con:
        try:
            con.execute("select regexp_full_match('', ?)", [pattern])
        except duckdb.Error as error:
            yield field, pattern, f"a regular expression; DuckDB says: {error}"


def _names(source: Source) -> Iterator[Fault]:
    names = [column.name for column in source.columns]
    for field, given in {
        "columns.name": names,
        "columns.header": [column.in_file for column in source.columns],
        "facts.name": [fact.name for fact in source.facts],
        "lookups.name, derived": [*names, *(lookup.name for lookup in source.lookups), *source.derived],
    }.items():
        for name in (name for name, n in Counter(given).items() if n > 1):
            yield field, name, "a name that is given once"
    for name in (*names, *source.derived, *(lookup.name for lookup in source.lookups)):
        if name in _RESERVED or name.endswith(("_known_at", "_corrected_at")):
            expected = (
                f"a name of your own, and for a column `header: {name}` (in raw, {', '.join(_RESERVED)} and "
                "*_known_at and *_corrected_at are the platform's)"
            )
            yield "columns.name", name, expected
    yield from _unknown("key", source.key, names)
    for column in source.columns:
        if column.nullable and column.name in source.key:
            yield "key", column.name, "a column that is not nullable"
    yield from _unknown("lookups.column", (lookup.column for lookup in source.lookups), names)


def _unknown(field: str, given: Iterable[str], names: Iterable[str]) -> Iterator[Fault]:
    known = list(names)
    for name in given:
        if name not in known:
            yield field, name, f"a declared column. {nearest(name, known)}"


def _dates(source: Source) -> Iterator[Fault]:
    if source.every_days and source.start is None:
        yield "start", None, f"the first day a file may name, since cadence is {source.cadence}"
    if source.cadence == "once" and (source.start or source.end):
        yield "start", source.start, "nothing, since a source with cadence once has no days"
    if (
        source.start
        and source.end
        and source.every_days
        and (source.end - source.start).days % source.every_days
    ):
        yield "end", source.end, f"the first day of a week, as start is: a {source.start:%A}"
    for column in source.columns:
        for bound in (column.minimum, column.maximum):
            if bound is not None and isinstance(bound, float) != (column.type in {"integer", "real"}):
                yield f"columns.{column.name}.minimum/maximum", bound, f"a value of type {column.type}"


def _facts(source: Source) -> Iterator[Fault]:
    names = [column.name for column in source.columns]
    given = [name for fact in source.facts for name in fact.columns]
    yield from _unknown("facts.columns", (name for name in given if name != "*"), names)
    for name in (name for name, n in Counter(given).items() if n > 1):
        yield "facts.columns", name, "one fact for each column"
    yield from _unknown("corrections.columns", source.corrections.columns, names)
    missing = [name for name in names if name not in (*given, *source.corrections.columns)]
    if missing and "*" not in given:
        yield "facts.columns", missing[0], 'a fact that says when it is known (or `columns: ["*"]` in one)'


def _expressions(source: Source) -> Iterator[Fault]:
    columns = {column.name: column.sql_type for column in source.columns}
    columns |= {"day": "DATE", "loaded_at": "TIMESTAMP"}
    columns |= {lookup.name: SQL_TYPES[lookup.type] for lookup in source.lookups}
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        clocks.install(con)
        con.execute(
            f"create view bound as select {', '.join(f'null::{t} as {n}' for n, t in columns.items())}"
        )
        relation = "bound"
        for field, name, expression, expected in _all_expressions(source):
            if field == "corrections.known_at":
                columns |= {"event_at": "TIMESTAMP", "known_at": "TIMESTAMP"}
                relation = (
                    f"(select *, null::timestamp as event_at, null::timestamp as known_at from {relation})"
                )
            try:
                bound = con.execute(f"describe select try({expression}) as value from {relation}").fetchone()
            except duckdb.Error as error:
                yield field, expression, f"DuckDB SQL over {', '.join(columns)}; DuckDB says: {error}"
                return
            if expected and bound and bound[1] != expected:
                yield field, expression, f"an expression of type {expected}, not {bound[1]}"
            if name:
                relation = f"(select *, ({expression}) as {name} from {relation})"
                columns[name] = "derived"


def _all_expressions(source: Source) -> Iterator[tuple[str, str | None, str, str | None]]:
    for name, expression in source.derived.items():
        yield f"derived.{name}", name, expression, None
    yield "event_at", None, source.event_at, "TIMESTAMP"
    for fact in source.facts:
        yield f"facts.{fact.name}.known_at", None, fact.known_at, "TIMESTAMP"
    for rule in source.rules:
        yield f"rules.{rule.name}.expression", None, rule.expression, "BOOLEAN"
    yield "corrections.known_at", None, source.corrections.known_at, "TIMESTAMP"


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Source
    for part in location[:-1]:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is None:  # a place in a list, or which format it is
            model = _FORMATS.get(str(part), model)
            continue
        annotation = field.annotation
        for inner in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner not in _FORMATS.values():
                model = inner
    return list(model.model_fields)
