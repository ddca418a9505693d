"""How good candidate and champion are on what was really asked, with the features as they were answered.

At the endpoint features may be older than those of the training rows: a candidate that leans on fresh ones is
better offline, and worse where it counts.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.bundle import Bundle
from ml.errors import HeadwaterError
from ml.labels import labels_of
from ml.lake.published import Published
from ml.metrics import metric_of
from ml.prediction_log.reading import each_once, newest_of
from ml.row_scoring import RowCoder
from ml.settings import Settings
from ml.verification import read

MOST_ROWS, FEWEST_ROWS = 40_000, 1_000


@dataclass(frozen=True)
class OnAnswers:
    """The metric of the gate over logged rows that neither was trained on and whose outcome is known."""

    metric: str
    n_rows: int
    candidate: float
    champion: float
    worse_by: float

    @property
    def share(self) -> float:
        """By how much it is worse, as a share of the champion's value; negative where it is better."""
        return self.worse_by / max(abs(self.champion), 1e-12)


def on_answers(settings: Settings, champion: Bundle, candidate: Bundle) -> OnAnswers | None:
    """Of the newest logged rows; None where too few are known, or both can't be asked about them."""
    declaration = candidate.declaration
    rows = _rows(settings, champion, candidate)
    if rows is None or rows.num_rows < FEWEST_ROWS:
        return None
    metric = metric_of(declaration.task, declaration.gate.against_champion.metric)
    try:
        labels = labels_of(declaration, rows, "live", candidate.contract.classes)
        ours, theirs = (_scores(bundle, rows) for bundle in (candidate, champion))
    except HeadwaterError:  # other classes, one class, or values that one of them can't take
        return None
    if not metric.is_defined(labels):
        return None
    values = float(metric.compute(labels, ours)), float(metric.compute(labels, theirs))
    return OnAnswers(metric.name, rows.num_rows, *values, float(metric.shortfall(*values)))


def _rows(settings: Settings, champion: Bundle, candidate: Bundle) -> pa.Table | None:
    declaration, published = candidate.declaration, Published(settings)
    names = [one.name for one in (*champion.contract.features, *candidate.contract.features)]
    wanted = list(dict.fromkeys(["prediction_at", *names]))
    found = newest_of(settings.prediction_log, champion.model, declaration.key, wanted, MOST_ROWS)
    edition, label = published.edition(), declaration.label
    if found is None or label.group or label.table not in edition.snapshots:
        return None
    trained = [date.fromisoformat(one.receipt["rows"]["last_day"]) for one in (champion, candidate)]
    # A prediction's day may be the one after its entity's: with the last day of training it goes, too.
    found = each_once(found)
    after = pc.greater(pc.cast(found["prediction_at"], pa.date32()), pa.scalar(max(trained)))
    found = found.filter(after)
    known = published.read(
        label.table, edition=edition, columns=[declaration.key, label.column], first_day=max(trained)
    )
    at = pc.index_in(found["key"], value_set=known[declaration.key].cast(pa.string()))
    found = found.drop_columns(["score"]).append_column(label.column, known[label.column].take(at))
    return found.filter(found[label.column].is_valid())


def _scores(bundle: Bundle, rows: pa.Table) -> NDArray[np.float64]:
    names = [one.name for one in bundle.contract.features]
    types = {name: rows.schema.field(name).type for name in names}
    values = list(zip(*(rows[name].to_pylist() for name in names), strict=True))
    return np.asarray(read(bundle).predict(RowCoder(bundle.contract, types).coded(values)[0], threads=0))
