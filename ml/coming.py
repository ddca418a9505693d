"""Those that can be asked about next, and what a model says of them now: whole batches at once.

The features are the endpoint's SQL over the same online tables, the scores those of training and evaluation.
Where a batch is kept, and which model is asked, is the caller's matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.bundle import Bundle
from ml.contract import Contract
from ml.online import OnlineStore
from ml.scoring import Scorer

if TYPE_CHECKING:
    from ml.lake.published import Edition, Published

_AT = "prediction_at"


@dataclass(frozen=True)
class Batch:
    """Predictions of one version over one edition; `rows` have key, time, what was asked and what is told."""

    version: str
    edition: int
    as_of: datetime | None
    rows: pa.Table


def coming(published: "Published", edition: "Edition", bundle: Bundle) -> pa.Table:
    """Rows of the spine after the newest day that has features, by time and key: whose outcome is still open.

    Columns are the key, `prediction_at` and those of a request. No row where no spine is published.
    """
    contract = bundle.contract
    names = [contract.key, _AT, *(column.name for column in contract.request)]
    computed = published.days(bundle.declaration.features.table, edition)
    if contract.spine is None or contract.spine not in edition.snapshots or not computed:
        return pa.table({name: pa.array([], pa.null()) for name in names})
    first = computed[-1] + timedelta(days=1)
    rows = published.read(contract.spine, edition=edition, columns=names, first_day=first)
    return rows.sort_by([(_AT, "ascending"), (contract.key, "ascending")])


def predict(bundle: Bundle, store: OnlineStore, rows: pa.Table, threads: int = 0) -> Batch:
    """What the model says of rows as `coming` gives them; raises what DuckDB and the scorer raise."""
    contract = bundle.contract
    request = rows.select([column.name for column in contract.request])
    numbers = pa.array(range(rows.num_rows), pa.int32())
    features = store.features(request.append_column("request_row", numbers), bundle.feature_sql)
    scores = Scorer(bundle, threads).score(features)
    told = rows
    for name, values in outputs(contract, scores).items():
        told = told.append_column(name, values)
    return Batch(bundle.version, store.edition_id, store.as_of, told)


def outputs(contract: Contract, scores: NDArray[np.float64]) -> dict[str, Any]:
    """The columns that are told of scores, named as the endpoint names them."""
    if contract.task == "multiclass":
        best = [contract.classes[one] for one in scores.argmax(axis=1)] if len(scores) else []
        each = {f"probability_of_{name}": scores[:, n] for n, name in enumerate(contract.classes)}
        return {"prediction": pa.array(best, pa.string()), **{k: pa.array(v) for k, v in each.items()}}
    return {"prediction" if contract.task == "regression" else "score": pa.array(scores, pa.float64())}


def as_instances(contract: Contract, rows: pa.Table) -> list[dict[str, Any]]:
    """The requests that would be sent about rows, in order, as JSON values."""
    names = [column.name for column in contract.request]
    return [
        {name: as_json_value(value) for name, value in zip(names, values, strict=True)}
        for values in zip(*(rows[name].to_pylist() for name in names), strict=True)
    ]


def as_json_value(value: Any) -> Any:
    """As a request says it: times with their zone."""
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S" + (".%f" if at.microsecond else "") + "Z")
    return value.isoformat() if isinstance(value, date) else value


def summary(batch: Batch) -> dict[str, Any]:
    """Rows, span of time, and mean and quartiles of what is told, of a batch that has rows."""
    name = next(one for one in ("score", "prediction") if one in batch.rows.column_names)
    told: dict[str, Any] = {"rows": batch.rows.num_rows}
    if not batch.rows.num_rows:
        return told
    times: Sequence[datetime] = pc.min_max(batch.rows[_AT]).as_py().values()
    told |= dict(zip(("first", "last"), (f"{one:%Y-%m-%d %H:%M}" for one in times), strict=True))
    values = batch.rows[name]
    if pa.types.is_floating(values.type):
        quartiles = pc.quantile(values, q=[0.25, 0.5, 0.75]).to_pylist()
        told |= {"mean": pc.mean(values).as_py(), "quartiles": [round(one, 5) for one in quartiles]}
    return told
