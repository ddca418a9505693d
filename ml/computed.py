"""Which bytes each landed day was last computed from, so that a killed run is taken up again.

Written after the published tables, in the catalog's database; a row here means that readers see the day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from ml.settings import Settings

_ONCE = "once"
_META = sa.MetaData()
_COMPUTED = sa.Table(
    "computed",
    _META,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("edition", sa.Integer, nullable=False),
    sa.Column("code", sa.String, nullable=False),
)


@dataclass(frozen=True)
class Arrival:
    """A landed file that is not computed yet; `day` is None for a reference file."""

    source: str
    day: date | None
    sha256: str


class Computed:
    """The register of one project."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def record(self, files: Iterable[Arrival], edition: int, code: str) -> None:
        """Note that an edition was made from these files by this code; the same again changes nothing."""
        rows = [
            {"source": f.source, "day": _text(f.day), "sha256": f.sha256, "edition": edition, "code": code}
            for f in files
        ]
        if not rows:
            return
        same = sa.and_(
            _COMPUTED.c.source == sa.bindparam("of_source"), _COMPUTED.c.day == sa.bindparam("of_day")
        )
        with self._engine.begin() as connection:
            keys = [{"of_source": row["source"], "of_day": row["day"]} for row in rows]
            connection.execute(_COMPUTED.delete().where(same), keys)
            connection.execute(_COMPUTED.insert(), rows)

    def forget(self) -> None:
        """Note that nothing is computed any more, as when the workshop is gone."""
        with self._engine.begin() as connection:
            connection.execute(_COMPUTED.delete())

    def codes(self) -> set[str]:
        """The code that computed days were computed by: one, unless it changed in between."""
        with self._engine.connect() as connection:
            return set(connection.execute(sa.select(_COMPUTED.c.code).distinct()).scalars())

    def files(self) -> dict[tuple[str, date | None], str]:
        """The SHA-256 that each source and day was last computed from; day is None for a reference file."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(_COMPUTED.c.source, _COMPUTED.c.day, _COMPUTED.c.sha256))
            return {(row.source, _day(row.day)): row.sha256 for row in rows}

    @cached_property
    def _engine(self) -> sa.Engine:
        self._settings.home.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self._settings.catalog_url)
        with engine.begin() as connection:
            connection.execute(CreateTable(_COMPUTED, if_not_exists=True))
        return engine


def _text(day: date | None) -> str:
    return day.isoformat() if day else _ONCE


def _day(text: str) -> date | None:
    return None if text == _ONCE else date.fromisoformat(text)
