"""The versions of a source's rows, and from when to when each was what was known, as views over raw.

How files become raw rows, and when a correction was known, does not belong here.
"""

from collections.abc import Iterable, Iterator

from ml.sources.declaration import Source


def versions_view(source: Source) -> str:
    """SQL of `raw.<name>_versions`: one row per version of each row of the source's key.

    A version is what was known from `corrected_at` (NULL: at once) until `superseded_at` (NULL: still).
    `<fact>_corrected_at`, when there are several facts, is the time of the correction that gave the fact its
    values (NULL: none did). `known_at` and `<fact>_known_at` are as declared: when the values were known, had
    they come on time. Corrections stand in the order in which they were known, whatever the order of landing.
    A row that a later file repeats is no new version; one that it lacks is superseded by nothing, unless not
    all of the file's rows are here, as at an instant at which not all were known.
    """
    is_changed = "rows_.day in (from changed_days)" if source.every_days else "exists (from changed_days)"
    raw = source.raw_columns()
    added = [f"null::timestamp as {name}" for name in source.version_columns() if name not in raw]
    return f"""
        create view raw.{source.name}_versions as
        with changed_days as (
            select day from raw.files where source = '{source.name}' group by day having count(*) > 1
        )
        select {", ".join([*(f"rows_.{name}" for name in raw), *added])}
        from raw.{source.name} as rows_ where not ({is_changed})
        union all
        select {", ".join(source.version_columns())}
        from ({_changed(source, is_changed)})
        where is_there and coalesce(corrected_at <> superseded_at, true)
    """


def current_view(source: Source) -> str:
    """SQL of `raw.<name>_current`: the versions that hold today, with the times that they were known from.

    Here `known_at` and `<fact>_known_at` are a correction's own time where one gave the values.
    """
    facts = {name: [name, corrected(name)] for name in source.known_columns}
    whole = [name for pair in facts.values() for name in pair] or ["known_at", "corrected_at"]
    known = {"known_at": whole, **facts}
    columns = [
        f"greatest({', '.join(known[name])}) as {name}" if name in known else name
        for name in source.raw_columns()
    ]
    return f"""
        create view raw.{source.name}_current as
        select {", ".join(columns)} from raw.{source.name}_versions where superseded_at is null
    """


def corrected(known_column: str) -> str:
    """`<fact>_corrected_at` for `<fact>_known_at`."""
    return known_column.replace("known_at", "corrected_at")


def _changed(source: Source, is_changed: str) -> str:
    """The rows of days with several files in each state that differs from the one before, absence too."""
    has_places = source.duplicates == "keep"
    keys = ["day", *source.key, *(["place"] if has_places else [])]
    row = ", ".join(keys)
    alike = ", ".join(["day", *source.key, "loaded_at"])
    # Equality, and no step kept, so that a condition on the day reaches the scans.
    same_day = "keys.day = {0}.day" if source.every_days else "true"
    place = f", row_number() over (partition by {alike} order by row_number) as place" if has_places else ""
    told = _told_together(alike) if has_places else "compared"
    rest = [name for name in source.raw_columns() if name not in {*keys, "loaded_at", "corrected_at"}]
    values = [column.name for column in source.columns if column.name not in source.corrections.columns]
    facts = {
        corrected(known): [name for name in values if source.fact_of(name) is fact]
        for known, fact in zip(source.known_columns, source.facts, strict=False)
    }
    differ = _differ([*values, *_times_from_values(source)])
    flags = [f", is_other or {_differ(columns)} as {name}_is_new" for name, columns in facts.items()]
    times = [f", max(case when {name}_is_new then corrected_at end) over so_far as {name}" for name in facts]
    return f"""
        with found as not materialized (
            select * {place} from raw.{source.name} as rows_ where {is_changed}
        ),
        files as (
            select day, loaded_at, max(corrected_at) as corrected_at,
                loaded_at = min(loaded_at) over (partition by day) as is_first,
                sum(n_rows) <= 0 as is_whole
            from (
                select day, loaded_at, null as corrected_at, n_rows from raw.files as rows_
                where source = '{source.name}' and {is_changed}
                union all select day, loaded_at, corrected_at, -1 from found
            )
            group by day, loaded_at
        ),
        timeline as (
            select {", ".join(f"keys.{name}" for name in keys)}, files.loaded_at,
                {", ".join(f"found.{name}" for name in rest)},
                found.row_number is not null as is_there,
                case when not files.is_first
                    then coalesce(found.corrected_at, files.corrected_at, files.loaded_at)
                end as corrected_at
            from (select distinct {row} from found) as keys
            join files on {same_day.format("files")}
            left join found on files.loaded_at = found.loaded_at and {same_day.format("found")}
                and {" and ".join(f"keys.{name} is not distinct from found.{name}" for name in keys[1:])}
            where found.row_number is not null or files.is_whole
        ),
        stepped as (
            select *,
                is_there is distinct from lag(is_there) over before_ as is_other
            from timeline window before_ as ({_in_order(row)})
        ),
        compared as (
            select *, is_other or {differ} as is_new {"".join(flags)}
            from stepped window before_ as ({_in_order(row)})
        ),
        told as (
            select * {"".join(times)}
            from {told} window so_far as ({_in_order(row)} rows unbounded preceding)
        )
        select *, lead(corrected_at) over ({_in_order(row)}) as superseded_at
        from told where is_new
    """


def _times_from_values(source: Source) -> Iterator[str]:
    """Columns with times of facts that follow from what the file says, not from when it was taken in."""
    for name, fact in zip(source.known_columns or ("known_at",), source.facts, strict=True):
        if "loaded_at" not in source.names_in(fact.known_at):
            yield name


def _told_together(alike: str) -> str:
    """Step `compared`, rows of a file with equal keys told as one: a state has them all from one file."""
    return f"""(
        select * replace (
            bool_or(is_new) over (partition by {alike}) as is_new,
            max(corrected_at) over (partition by {alike}) as corrected_at
        )
        from compared
    )"""


def _in_order(row: str) -> str:
    return f"partition by {row} order by corrected_at nulls first, loaded_at"


def _differ(columns: Iterable[str]) -> str:
    """SQL: whether any of the columns is other than in the state before."""
    pairs = (f"{name} is distinct from lag({name}) over before_" for name in columns)
    return f"({' or '.join(pairs)})"
