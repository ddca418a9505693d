"""What was computed from what: the bytes of each landed day, and how each table was last built, day by day.

Written after the published tables, in the catalog's database; a file here means that readers see its day.
Which days are due, and which tables are stale, is decided elsewhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from ml.lake.editions import database_url
from ml.settings import Settings

_ONCE = "once"
_META = sa.MetaData()
_FILES = sa.Table(
    "computed_files",
    _META,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("edition", sa.Integer, nullable=False),
)
_BUILDS = sa.Table(
    "computed_tables",
    _META,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),
    sa.Column("code", sa.String, nullable=False),
    sa.Column("checks", sa.String, nullable=False),
    sa.Column("data", sa.String, nullable=False),
    sa.Column("built_at", sa.Integer, nullable=False),
    sa.Column("changed_at", sa.Integer, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("failed", sa.String, nullable=False),
)
_UNIT_TESTS = sa.Table(
    "computed_unit_tests",
    _META,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("code", sa.String, nullable=False),
)
# A table, or `raw_name` of a source, and a day; None for what has no days.
Key = tuple[str, date | None]


@dataclass(frozen=True)
class Arrival:
    """A landed file that is not computed yet; `day` is None for a reference file."""

    source: str
    day: date | None
    sha256: str


@dataclass(frozen=True)
class Build:
    """How a day of a table came about.

    `data` names its rows. `built_at` and `changed_at` count the steps of runs, not seconds: the one that
    built it last (0: it has to be built anew) and the one that last found other rows. `failed` says why its
    rows are not certified, and is empty when all blocking checks passed.
    """

    code: str = ""
    checks: str = ""
    data: str = ""
    built_at: int = 0
    changed_at: int = 0
    run: str = ""
    failed: str = ""


class Computed:
    """The register of one project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def record(self, files: Iterable[Arrival], edition: int) -> None:
        """Note that an edition was made from these files; the same again changes nothing."""
        rows = [
            {"source": f.source, "day": _text(f.day), "sha256": f.sha256, "edition": edition} for f in files
        ]
        self._replace(_FILES, ("source", "day"), rows)

    def files(self) -> dict[tuple[str, date | None], str]:
        """The SHA-256 that each source and day was last computed from; day is None for a reference file."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_FILES.c.source, _FILES.c.day, _FILES.c.sha256))
            return {(row.source, _day(row.day)): row.sha256 for row in rows}

    def write(self, builds: Mapping[Key, Build]) -> None:
        """Note how days of tables were built, all together or none."""
        rows = [{"name": name, "day": _text(day), **asdict(build)} for (name, day), build in builds.items()]
        self._replace(_BUILDS, ("name", "day"), rows)

    def builds(self) -> dict[Key, Build]:
        """How each day of each table was last built, raw sources among them."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_BUILDS)).mappings().all()
        fields = Build.__dataclass_fields__
        return {
            (row["name"], _day(row["day"])): Build(**{name: row[name] for name in fields}) for row in rows
        }

    def pass_unit_tests(self, passed: Mapping[str, str]) -> None:
        """Note the code, of table and test, with which each unit test passed."""
        rows = [{"name": name, "code": code} for name, code in passed.items()]
        self._replace(_UNIT_TESTS, ("name",), rows)

    def unit_tests(self) -> dict[str, str]:
        """The code with which each unit test last passed."""
        with self._engine.connect() as connection:
            return {row.name: row.code for row in connection.execute(sa.select(_UNIT_TESTS))}

    def drop_files(self, keys: Iterable[tuple[str, date | None]]) -> None:
        """Note that nothing is computed from any file of these sources and days."""
        gone = [{"of_source": source, "of_day": _text(day)} for source, day in keys]
        same = sa.and_(_FILES.c.source == sa.bindparam("of_source"), _FILES.c.day == sa.bindparam("of_day"))
        if gone:
            with self._engine.begin() as connection:
                connection.execute(_FILES.delete().where(same), gone)

    def forget(self) -> None:
        """Note that nothing is computed any more, as when the workshop is gone."""
        with self._engine.begin() as connection:
            connection.execute(_FILES.delete())
            connection.execute(_BUILDS.delete())

    def _replace(self, table: sa.Table, key: tuple[str, ...], rows: Sequence[Mapping[str, object]]) -> None:
        if not rows:
            return
        same = sa.and_(*(table.c[name] == sa.bindparam(f"of_{name}") for name in key))
        with self._engine.begin() as connection:
            keys = [{f"of_{name}": row[name] for name in key} for row in rows]
            connection.execute(table.delete().where(same), keys)
            connection.execute(table.insert(), rows)

    @cached_property
    def _engine(self) -> sa.Engine:
        self._settings.home.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(database_url(self._settings.catalog_url))
        with engine.begin() as connection:
            for table in _META.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
        return engine


def _text(day: date | None) -> str:
    return day.isoformat() if day else _ONCE


def _day(text: str) -> date | None:
    return None if text == _ONCE else date.fromisoformat(text)
