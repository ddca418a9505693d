"""What a table is made by and from, as far as it decides whether the table is up to date.

What a table's SQL says, and how it is run, does not belong here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ml.canonical import digest


@dataclass(frozen=True)
class Table:
    """One table: `code` names its SQL and settings, `checks` the tests that block it, by their digests.

    `parents` are tables, or raw sources by `raw_name`. A build of the days first..last reads its parents from
    first - `lookback_days` to last + `reach_days`, and writes first..last + `reach_days`; a table that is not
    daily is made anew as a whole.
    """

    name: str
    parents: tuple[str, ...]
    code: str
    checks: str
    is_daily: bool
    lookback_days: int = 0
    reach_days: int = 0


def raw_name(source: str) -> str:
    """How a source's raw rows are called among the parents of a table."""
    return f"raw.{source}"


def descendants(tables: Iterable[Table], of: Iterable[str]) -> set[str]:
    """Names of the tables made from those in `of`, directly or not, without `of` themselves."""
    children: dict[str, list[str]] = {}
    for table in tables:
        for parent in table.parents:
            children.setdefault(parent, []).append(table.name)
    return _reached(of, children)


def ancestors(tables: Mapping[str, Table], of: str) -> set[str]:
    """Names of everything that a table is made from, raw sources included."""
    return _reached([of], {name: list(table.parents) for name, table in tables.items()})


def lineage_code(tables: Mapping[str, Table], names: Iterable[str]) -> str:
    """One digest of the code of tables and of all they are made from."""
    names = list(names)
    made_from = set(names).union(*(ancestors(tables, name) for name in names))
    return digest(repr(sorted((name, tables[name].code) for name in made_from if name in tables)))[:16]


def _reached(start: Iterable[str], edges: Mapping[str, list[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [edge for name in start for edge in edges.get(name, ())]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += edges.get(name, ())
    return reached
