"""`headwater quarantine`: which rows were kept out of raw, and why; what changed about files.

Which rows are bad is the sources' declarations'; nothing is changed here.
"""

from dataclasses import asdict
from datetime import date

from headwater.console import Voice
from headwater.errors import NoSuchSource, NothingTakenIn
from ml.lake.workshop import Workshop
from ml.settings import Settings
from ml.sources import declared_sources
from ml.sources.quarantine import BadCell, Change, bad_cells, changes, counts
from ml.sources.raw import make_tables

_MOST = 10  # of each file, for a person


def show_quarantine(source: str | None, day: date | None, *, as_json: bool) -> None:
    """Print bad rows and changes of the newest files, of a source and a day or of all.

    Raises:
        NoSuchSource: no source of that name is declared.
        NothingTakenIn: no file was taken in yet.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    known = [one.name for one in declared_sources(settings.project)]
    if source and source not in known:
        raise NoSuchSource(source=source, known=known)
    workshop = Workshop(settings)
    if not workshop.file.exists():
        raise NothingTakenIn(home=settings.home)
    with workshop.turn(), workshop.connect() as con:
        make_tables(con)
        by_rule = counts(con, source, day)
        cells = bad_cells(con, source, day, day, None if as_json else _MOST)
        changed = changes(con, source, day, day)
    voice.facts |= {
        "counts": by_rule,
        "rows": [asdict(cell) for cell in cells],
        "changes": [{"source": name, **asdict(change)} for name, change in changed],
    }
    _tell(voice, by_rule, cells, changed)
    voice.finish()


def _tell(
    voice: Voice, by_rule: list[dict[str, object]], cells: list[BadCell], changed: list[tuple[str, Change]]
) -> None:
    if by_rule:
        rows = [
            (f"{one['n_rows']:,}", f"{one['source']}: {one['column'] or 'row'} {one['rule']}")
            for one in by_rule
        ]
        voice.table("Rows that are not what a rule says", rows)
        voice.table(f"The first {_MOST} of each file", [(_place(cell), _told(cell)) for cell in cells])
    else:
        voice.say("No row is in quarantine.")
    if changed:
        voice.table(
            "Changes",
            [
                (
                    f"{source} {change.day or ''}",
                    f"{change.column}: {change.kind.replace('_', ' ')}: {change.found}",
                )
                for source, change in changed
            ],
        )


def _place(cell: BadCell) -> str:
    return f"{cell.file}:{cell.row_number}"


def _told(cell: BadCell) -> str:
    value = "no value" if cell.value is None else f'"{cell.value}"'
    return f"{cell.column or 'row'} {value}; expected: {cell.rule}"
