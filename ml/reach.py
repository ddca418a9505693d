"""How far a raw file reached: days of tables, versions of models, and when these answered.

Read-only. Days are told as far as the tables' SQL looks back or ahead, which may be more than changed;
what to do about it is `recalling`'s.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ml.bundle import Bundle
from ml.calendars import calendars
from ml.column_lineage import made_from
from ml.computed import Computed
from ml.errors import HeadwaterError
from ml.ledger import Ledger
from ml.ledger_entries import Entry
from ml.ledger_reading import CROWNING, server_of
from ml.provenance import FILE, Provenance
from ml.registry import Registry
from ml.settings import Settings
from ml.sources.catalogue import declared_sources
from ml.sources.declaration import Source
from ml.sources.kept import Version, name_of
from ml.sources.recalled import Found
from ml.stale import reached
from ml.tables import Table, ancestors, raw_name

Days = set[date | None]


@dataclass(frozen=True)
class Interval:
    """When a version was champion; `until` is None while it is."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Loaded:
    """When a server process answered with a version; `until` is None while nothing ended it."""

    server: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class ReachedModel:
    """A version that was made from the file, why that is known, and what it served."""

    model: str
    version: str
    registered_at: datetime
    why: str
    is_champion: bool
    champion: tuple[Interval, ...]
    loaded: tuple[Loaded, ...]


@dataclass(frozen=True)
class Reach:
    """What a file reached; days of tables are None for those that have no days.

    `features` are columns by table that a champion reads, those that values of the file's source get into.
    """

    file: Found
    partitions: Mapping[str, tuple[date | None, ...]]
    features: Mapping[str, tuple[str, ...]]
    models: tuple[ReachedModel, ...]


def reach_of(settings: Settings, file: Found, tables: Mapping[str, Table]) -> Reach:
    """Everything that the file reached, as things stand. Raises LedgerUnusable, and of damaged bundles."""
    days = _partitions(settings, file, tables)
    ledger, registry = Ledger(settings.ledger_url), Registry(settings.registry)
    features: dict[str, tuple[str, ...]] = {}
    for entry in ledger.champions():
        bundle = registry.get(entry.model, entry.version)
        declared = bundle.declaration.features
        if days.get(declared.table):
            columns = (*features.get(declared.table, ()), *_features(bundle, settings, file.source))
            features[declared.table] = tuple(dict.fromkeys(columns))
    shown = {name: tuple(sorted(found, key=str)) for name, found in days.items() if found}
    return Reach(file, shown, features, tuple(_models(ledger, registry, file)))


def reached_why(bundle: Bundle | None, registered_at: datetime, file: Found) -> str:
    """Why a version counts as made from the file; empty when it is certain that it was not.

    It was not when its receipt does not name the file, or when the file's day lies beyond the days that its
    SQL was compiled for. A version without a receipt counts when the file was there before it was trained.
    """
    if bundle is None or FILE not in bundle.files:
        was_there = file.versions[0].loaded_at < registered_at.replace(tzinfo=None)
        return "it has no receipt, and the file was taken in before it" if was_there else ""
    origins = Provenance.from_json(bundle.files[FILE]).origins
    named = set(origins.ground.files.get(file.source, ()))
    versions = [one for one in file.versions if name_of(one) in named]
    inside = [one for one in versions if _is_within(one, origins.sql.first_day, origins.sql.last_day)]
    return f"its receipt names {name_of(inside[0])}" if inside else ""


def read(registry: Registry, model: str, version: str) -> Bundle | None:
    """The bundle, or None when it is gone or damaged: then only times tell what it may be made from."""
    try:
        return registry.get(model, version)
    except HeadwaterError:
        return None


def is_reached(registry: Registry, registered: Entry, file: Found) -> bool:
    """Whether the version of a `registered` entry was made from the file."""
    bundle = read(registry, registered.model, registered.version)
    return bool(reached_why(bundle, registered.at, file))


def looking_up(sources: Iterable[Source], source: str) -> set[str]:
    """The sources that look values up in this one, directly or not."""
    found, grew = {source}, True
    while grew:
        more = {one.name for one in sources if any(lookup.source in found for lookup in one.lookups)}
        grew = not more <= found
        found |= more
    return found - {source}


def _features(bundle: Bundle, settings: Settings, source: str) -> tuple[str, ...]:
    """The features that values of a source get into by the receipt's SQL; all where that can't tell."""
    from sqlglot.errors import SqlglotError  # half a second: only a recall pays for it

    declared = bundle.declaration.features
    if FILE not in bundle.files:
        return declared.columns
    sources = declared_sources(settings.project)
    named = {source, *looking_up(sources, source)}
    raw: dict[str, dict[str, str]] = {}
    reached_raw: list[str] = []
    for one in sources:
        relations = [f"{raw_name(one.name)}{view}" for view in ("", "_versions", "_current")]
        raw |= dict.fromkeys(relations, one.version_columns())
        reached_raw += relations if one.name in named else []
    tables = [one.table for one in Provenance.from_json(bundle.files[FILE]).origins.sql.tables]
    try:
        made = made_from(tables, raw, reached_raw).get(declared.table, set())
    except SqlglotError:
        return declared.columns
    return tuple(column for column in declared.columns if column in made)


def _is_within(version: Version, first: date, last: date) -> bool:
    return version.day is None or first <= version.day <= last


def _partitions(settings: Settings, file: Found, tables: Mapping[str, Table]) -> dict[str, Days]:
    known, sources = Computed(settings).files(), declared_sources(settings.project)
    found: dict[str, Days] = {raw_name(file.source): {one.day for one in file.versions}}
    for name in looking_up(sources, file.source):
        found[raw_name(name)] = {day for source, day in known if source == name}
    raw = dict(found)
    for calendar in calendars(sources, tables.values()):
        own = {name: tables[name] for name in (*calendar.reference_tables, *calendar.tables)}
        found |= propagate(own, raw, calendar.computed(known))
    return found


def propagate(
    tables: Mapping[str, Table], raw: Mapping[str, Collection[date | None]], computed: Sequence[date]
) -> dict[str, Days]:
    """Days of tables that read any of the days of raw, through others too; `raw` itself among them."""
    found = {name: set(days) for name, days in raw.items()}
    for name in sorted(tables, key=lambda one: len(ancestors(tables, one))):
        late: Days = set()
        for parent in tables[name].parents:
            late |= reached(tables[name], found.get(parent, set()), computed)
        found[name] = late
    return found


def _models(ledger: Ledger, registry: Registry, file: Found) -> Iterable[ReachedModel]:
    for entry in ledger.history(None, "registered"):
        why = reached_why(read(registry, entry.model, entry.version), entry.at, file)
        if not why:
            continue
        now = ledger.champion(entry.model)
        is_champion = now is not None and now.version == entry.version
        crowned = tuple(_intervals(ledger.history(entry.model, *CROWNING), entry.version))
        loaded = tuple(_loaded(ledger.history(entry.model, "loaded", "stopped"), entry.version))
        yield ReachedModel(entry.model, entry.version, entry.at, why, is_champion, crowned, loaded)


def _intervals(crowned: Sequence[Entry], version: str) -> Iterable[Interval]:
    for n, entry in enumerate(crowned):
        if entry.version == version:
            yield Interval(entry.at, crowned[n + 1].at if n + 1 < len(crowned) else None)


def _loaded(entries: Sequence[Entry], version: str) -> Iterable[Loaded]:
    """Until the same process loads another version or stops. A killed one says nothing: until is None."""
    for n, entry in enumerate(entries):
        if entry.kind == "loaded" and entry.version == version:
            same = (one.at for one in entries[n + 1 :] if server_of(one) == server_of(entry))
            yield Loaded(server_of(entry), entry.at, next(same, None))
