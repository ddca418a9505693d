"""How good the answers of an endpoint were: logged predictions beside the outcomes that came true since.

By day of prediction and version, with the share that is still open. What is drawn from it, and where it is
kept, is the caller's matter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import canonical
from ml.bundle import Bundle
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.errors import HeadwaterError, NothingPublished
from ml.labels import labels_of
from ml.lake.editions import Edition
from ml.lake.published import Published
from ml.metrics import first_metric
from ml.prediction_log.reading import predictions_of
from ml.registry import Registry
from ml.settings import Settings

LOG_DAYS = 60
_DRAWS, _SEED, _MOST_ROWS = 200, 7, 50_000
# The last answer about an entity and time counts, once for each version that was asked.
_LAST = """
select key, prediction_at, version, score
from logged
qualify row_number() over (
    partition by key, prediction_at, version order by answered_at desc, answer_id desc
) = 1
"""
_JOINED = """
select answers.key, answers.prediction_at, cast(answers.prediction_at as date) as day, answers.version,
    answers.score, labels.* exclude (key)
from answers left join labels on answers.key = cast(labels.key as varchar)
order by day, version, answers.key
"""


@dataclass(frozen=True)
class Slice:
    """Predictions of one version, of one day or of all (`day` None).

    `value` is the first metric of the task over those whose outcome is known, None where that is too few;
    `low` and `high` are its 95 % interval by drawing days again, None for a single day.
    """

    day: date | None
    version: str
    n_predicted: int
    n_known: int
    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def open_share(self) -> float:
        """The part whose outcome is not known yet."""
        return 1 - self.n_known / self.n_predicted


@dataclass(frozen=True)
class LiveQuality:
    """Of one model, as of an edition of the lake; days in order, versions by name."""

    model: str
    metric: str
    edition: int
    made_at: datetime
    by_day: tuple[Slice, ...]
    in_all: tuple[Slice, ...]

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "LiveQuality":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


def file_of(settings: Settings, model: str) -> Path:
    """Where it is kept for those who show it."""
    return settings.home / "live_quality" / f"{model}.json"


def live_quality(
    settings: Settings, declaration: ModelDeclaration, days: int = LOG_DAYS, outcomes: str | None = None
) -> LiveQuality | None:
    """Of the newest `days` that have answers; None while there is none, or nothing is published.

    `outcomes` names a published table of predictions with their outcomes; without, both are joined here.
    """
    published = Published(settings)
    try:
        edition = published.edition()
    except NothingPublished:
        return None
    if outcomes and outcomes in edition.snapshots:
        rows = _from_table(published, declaration, edition, outcomes, days)
    else:
        rows = _from_log(settings, published, declaration, edition, days)
    if rows is None or not rows.num_rows:
        return None
    contracts = _contracts(settings, declaration.name, sorted(set(rows["version"].to_pylist())))
    by_day = tuple(_by_day(declaration, contracts, rows))
    in_all = tuple(_in_all(declaration, contracts, rows))
    metric = first_metric(declaration.task).name
    return LiveQuality(declaration.name, metric, edition.id, datetime.now(UTC), by_day, in_all)


def _from_table(
    published: Published, declaration: ModelDeclaration, edition: Edition, table: str, days: int
) -> pa.Table | None:
    newest = published.days(table, edition)[-days:]
    if not newest:
        return None
    label = declaration.label
    also = [label.column, *([label.group] if label.group else [])]
    columns = [declaration.key, "day", "version", "score", *also]
    rows = published.read(table, edition=edition, columns=columns, first_day=newest[0])
    rows = rows.rename_columns(["key", *columns[1:]])
    return rows.sort_by([(name, "ascending") for name in ("day", "version", "key")])


def _from_log(
    settings: Settings, published: Published, declaration: ModelDeclaration, edition: Edition, days: int
) -> pa.Table | None:
    answers = predictions_of(settings.prediction_log, declaration.name, declaration.key, days)
    if answers is None or not answers.num_rows:
        return None
    return _joined(answers, _labels(published, declaration, edition, declaration.key, answers))


def _labels(
    published: Published, declaration: ModelDeclaration, edition: Edition, key: str, answers: pa.Table
) -> pa.Table:
    label = declaration.label
    columns = [key, label.column, *([label.group] if label.group else [])]
    times = [at for at in answers["prediction_at"].to_pylist() if at is not None]
    # A prediction lies near its outcome's day; an outcome of months later is looked for from then on.
    first = min(times).date() - timedelta(days=7) if times else None
    found = published.read(label.table, edition=edition, columns=columns, first_day=first)
    return found.rename_columns(["key", *columns[1:]])


def _joined(answers: pa.Table, labels: pa.Table) -> pa.Table:
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("logged", answers)
        con.execute(f"create temp table answers as {_LAST}")
        con.register("labels", labels)
        return con.execute(_JOINED).to_arrow_table()


def _contracts(settings: Settings, model: str, versions: Sequence[str]) -> dict[str, Contract]:
    """Of versions that are still kept."""
    registry, found = Registry(settings.registry), {}
    for version in versions:
        try:
            bundle: Bundle = registry.get(model, version)
        except HeadwaterError:
            continue
        found[version] = bundle.contract
    return found


def _by_day(declaration: ModelDeclaration, contracts: dict[str, Contract], rows: pa.Table) -> Iterator[Slice]:
    for (day, version), part in _parts(rows, ["day", "version"]):
        known = _known(part, declaration)
        value = _value(declaration, contracts.get(version), known)
        yield Slice(day, version, part.num_rows, known.num_rows, value)


def _in_all(declaration: ModelDeclaration, contracts: dict[str, Contract], rows: pa.Table) -> Iterator[Slice]:
    for (version,), part in _parts(rows, ["version"]):
        known = _known(part, declaration)
        contract = contracts.get(version)
        value = _value(declaration, contract, known)
        low, high = _interval(declaration, contract, known) if value is not None else (None, None)
        yield Slice(None, version, part.num_rows, known.num_rows, value, low, high)


def _parts(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    places: dict[tuple[Any, ...], list[int]] = {}
    for n, key in enumerate(zip(*(rows[name].to_pylist() for name in names), strict=True)):
        places.setdefault(key, []).append(n)
    for key in sorted(places, key=lambda key: [(one is not None, one) for one in key]):
        yield key, rows.take(pa.array(places[key]))


def _known(rows: pa.Table, declaration: ModelDeclaration) -> pa.Table:
    return rows.filter(rows[declaration.label.column].is_valid())


def _value(declaration: ModelDeclaration, contract: Contract | None, known: pa.Table) -> float | None:
    """The first metric; None where it is not defined, as where all outcomes are the same."""
    if contract is None or not known.num_rows:
        return None
    metric = first_metric(declaration.task)
    try:
        labels = labels_of(declaration, known, "live", contract.classes)
    except HeadwaterError:
        return None
    if not metric.is_defined(labels):
        return None
    return float(metric.compute(labels, _scores(known)))


def _interval(
    declaration: ModelDeclaration, contract: Contract | None, known: pa.Table
) -> tuple[float | None, float | None]:
    """By drawing the days again: rows of a day are not independent. Of many rows some stand for all."""
    if known.num_rows > _MOST_ROWS:
        known = known.take(pa.array(np.linspace(0, known.num_rows - 1, _MOST_ROWS).astype(np.int64)))
    days = np.array(known["day"].to_pylist())
    of = [np.flatnonzero(days == day) for day in sorted(set(days.tolist()))]
    if len(of) < 2 or contract is None:  # noqa: PLR2004
        return None, None
    metric, rng, values = first_metric(declaration.task), np.random.default_rng(_SEED), []
    labels, scores = labels_of(declaration, known, "live", contract.classes), _scores(known)
    for _ in range(_DRAWS):
        drawn = np.concatenate([of[n] for n in rng.integers(0, len(of), len(of))])
        if metric.is_defined(labels[drawn]):
            values.append(metric.compute(labels[drawn], scores[drawn]))
    if len(values) < _DRAWS // 2:
        return None, None
    low, high = np.quantile(np.array(values), [0.025, 0.975])
    return float(low), float(high)


def _scores(rows: pa.Table) -> NDArray[np.float64]:
    return np.array(rows["score"].to_pylist(), dtype=np.float64)
