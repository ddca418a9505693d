"""Cells to typed rows, in SQL: types, ranges, rules, and the three times of a row.

Where cells come from and where rows are kept does not belong here.
"""

from dataclasses import dataclass

from ml.sources.declaration import Column, Fact, Source


@dataclass(frozen=True)
class Fault:
    """A way to be bad: the column if it is one cell's, the rule in words, SQL that is true for a bad row."""

    column: str | None
    rule: str
    is_bad: str
    is_type: bool = False


def cell_faults(source: Source) -> list[Fault]:
    """What can be wrong with single cells."""
    return [fault for i, column in enumerate(source.columns) for fault in _cell_faults(i, column)]


def row_faults(source: Source) -> list[Fault]:
    """What can be wrong with a row whose cells are all good."""
    times = ("event_at", *(source.known_columns or ("known_at",)))
    return [
        *(Fault(None, f"gives a time for {name}", f"{name} is null") for name in times),
        Fault(None, "gives a time for corrections.known_at", "is_correction and corrected_at is null"),
        *(Fault(None, rule.message, f"not coalesce(try({rule.expression}), false)") for rule in source.rules),
    ]


def typed_rows(source: Source, files: str = "true") -> str:
    """SQL that turns relation `_cells` joined with `_batch` into typed rows, for the `files` it is true for.

    `_cells` has `_file`, `row_number` and strings `_cell_0`..; `_batch` one row a file: `_file`, `day`,
    `source_file_id`, `loaded_at`, `is_correction`. The result has both's columns, those of raw, `_cells_good`
    and `_good`.
    """
    typed = ", ".join(
        f"{_typed(f'_cell_{i}', column)} as {column.name}" for i, column in enumerate(source.columns)
    )
    good_cells = " and ".join(f"not ({fault.is_bad})" for fault in cell_faults(source)) or "true"
    good_row = " and ".join(f"not ({fault.is_bad})" for fault in row_faults(source))
    steps = f"""
        select *, {good_cells} as _cells_good
        from (select *, {typed} from _cells join _batch using (_file) where {files})
    """
    for lookup in source.lookups:
        steps = f"""
            select rows_.*, found.value as {lookup.name}
            from ({steps}) as rows_ left join _lookup_{lookup.name} as found
              on found.key = rows_.{lookup.column}
              and rows_.loaded_at >= found.since and rows_.loaded_at < found.until
        """
    for name, expression in source.derived.items():
        steps = f"select *, try({expression}) as {name} from ({steps})"
    times = ", ".join(f"try({fact.known_at}) as {name}" for fact, name in _known(source))
    steps = f"select *, try({source.event_at}) as event_at, {times} from ({steps})"
    if source.known_columns:
        steps = f"select *, {_latest(source.known_columns)} as known_at from ({steps})"
    corrected_at = f"case when is_correction then try({source.corrections.known_at}) end"
    steps = f"select *, {corrected_at} as corrected_at from ({steps})"
    return f"select *, _cells_good and {good_row} as _good from ({steps})"


def _known(source: Source) -> list[tuple[Fact, str]]:
    return list(zip(source.facts, source.known_columns or ("known_at",), strict=True))


def _latest(names: tuple[str, ...]) -> str:
    """The greatest of the times, NULL as soon as one is (SQL's `greatest` passes over NULL)."""
    present = " and ".join(f"{name} is not null" for name in names)
    return f"case when {present} then greatest({', '.join(names)}) end"


def _typed(cell: str, column: Column) -> str:
    cast = f"try_cast({cell} as {column.sql_type})"
    match column.type:
        case "text":
            return cell
        case "integer":  # a cast alone would round '1.5' and read '0x10' and '1_0'
            written = (
                f"{cast}::varchar = {cell} or regexp_full_match({cell}, '[+-]?[0-9]+')"  # cheap test first
            )
            return f"case when {written} then {cast} end"
        case "timestamp":  # session in UTC: a value without offset is UTC
            instant = f"try_cast({cell} as timestamptz)"
            return f"case when isfinite({instant}) then timezone('UTC', {instant}) end"
        case "real" | "date":
            return f"case when isfinite({cast}) then {cast} end"
        case _:
            return cast


def _cell_faults(i: int, column: Column) -> list[Fault]:
    name, cell = column.name, f"_cell_{i}"
    faults = [] if column.nullable else [Fault(name, "has a value", f"{cell} is null")]
    if column.type != "text":
        rule = f"is of type {column.type}"
        faults.append(Fault(name, rule, f"{cell} is not null and {name} is null", is_type=True))
    for bound, sign, words in ((column.minimum, "<", "at least"), (column.maximum, ">", "at most")):
        if bound is not None:
            limit, shown = f"'{bound}'::{column.sql_type}", str(bound)
            if isinstance(bound, float):
                limit = shown = f"{bound:.17g}"
            faults.append(Fault(name, f"is {words} {shown}", f"coalesce({name} {sign} {limit}, false)"))
    if column.allowed:
        listed = ", ".join("'" + value.replace("'", "''") + "'" for value in column.allowed)
        rule = f"is one of {', '.join(column.allowed)}"
        faults.append(Fault(name, rule, f"coalesce({cell} not in ({listed}), false)"))
    if column.pattern:
        pattern = "'" + column.pattern.replace("'", "''") + "'"
        is_bad = f"not coalesce(regexp_full_match({cell}, {pattern}), true)"
        faults.append(Fault(name, f"matches {column.pattern}", is_bad))
    return faults
