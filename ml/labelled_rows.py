"""Features joined with their labels, in one order, from one edition of the published tables.

Which days are for what is the split's matter; publishing is the lake's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.errors import ColumnMissing, DuplicateKeys
from ml.memory import given_back
from ml.rows import rows_sha256
from ml.split import Span


class Edition(Protocol):
    """One state of all published tables together."""

    @property
    def id(self) -> int: ...

    @property
    def snapshots(self) -> Mapping[str, int]: ...


E = TypeVar("E", bound=Edition)
Places = NDArray[np.uint64]


class Published(Protocol[E]):
    """What is needed of the published tables: `ml.lake.published.Published`, or a stand-in."""

    def edition(self, number: int | None = None, /) -> E: ...

    def read(
        self,
        table: str,
        *,
        edition: E,
        columns: Sequence[str] | None = None,
        first_day: date | None = None,
        last_day: date | None = None,
    ) -> Any: ...

    def refuse_uncertified(
        self, table: str, days: Sequence[date], *, edition: E, code: str | None = None
    ) -> None: ...


@dataclass(frozen=True)
class Selection:
    """Which rows of which tables, before days are chosen."""

    model: str
    key: str
    features_table: str
    columns: tuple[str, ...]
    label_table: str
    label_column: str
    train_only_where: str | None
    group: str | None = None


@dataclass(frozen=True)
class LabelledRows(Generic[E]):
    """Reads what a selection names from one edition.

    `codes` names by table the code that its rows must be made by; without, all must be made by the same.
    """

    published: Published[E]
    edition: E
    selection: Selection
    codes: Mapping[str, str] = field(default_factory=dict)

    @given_back()
    def labels(self, span: Span | None = None) -> Any:
        """Key, day, label and condition, of some days or all; raises ColumnMissing or DuplicateKeys."""
        chosen = self.selection
        also = [name for name in (chosen.train_only_where, chosen.group) if name]
        columns = [chosen.key, "day", chosen.label_column, *also]
        rows = self._columns(chosen.label_table, columns, span).combine_chunks()
        _refuse_duplicates(chosen.label_table, chosen.key, rows)
        pa.default_memory_pool().release_unused()
        return rows

    def labelled_days(self, labels: Any) -> list[date]:
        """Days with at least one label, in order."""
        known = labels[self.selection.label_column].is_valid()
        days: list[date] = pc.unique(labels["day"].filter(known)).to_pylist()
        return sorted(days)

    @given_back()
    def join(self, labels: Any, train: Span | None, test: Span) -> tuple[Any, ...]:
        """Features with their labels of both spans, sorted by prediction_at, then key.

        Without a span to train on, the first table is empty. Raises ColumnMissing, DuplicateKeys, or
        Uncertified or MadeByOtherCode when rows of either table have not passed their blocking checks.
        """
        chosen = self.selection
        span = Span((train or test).first_day, test.last_day)
        keys = [chosen.key, "prediction_at", "day"]
        read = self._columns(chosen.features_table, keys, span)
        added, parts = self._places(labels, read, train, test)
        order = rows_sha256(read.select([chosen.key]))
        del read
        # Only now the features: beside them there is no room for hash tables and sorted keys.
        pa.default_memory_pool().release_unused()
        rows = self._columns(chosen.features_table, [*keys, *chosen.columns], span)
        if rows_sha256(rows.select([chosen.key])) != order:  # rely on nothing
            added, parts = self._places(labels, rows, train, test)
        held = dict(zip(rows.column_names, rows.columns, strict=True)) | added
        del rows
        return _taken(held, *parts)

    def _places(
        self, labels: Any, keys: Any, train: Span | None, test: Span
    ) -> tuple[dict[str, Any], list[Places]]:
        """The label (and group) of each row of the feature table, and the places of both parts' rows."""
        chosen = self.selection
        for table, rows in ((chosen.features_table, keys), (chosen.label_table, labels)):
            self._refuse_uncertified(table, rows, [train, test] if train else [test])
        found = pc.index_in(keys[chosen.key], value_set=labels[chosen.key])
        _refuse_repeated(chosen.features_table, chosen.key, keys, found)
        names = filter(None, (chosen.label_column, chosen.group))
        added = {name: labels[name].take(found) for name in names}
        by = [("prediction_at", "ascending"), (chosen.key, "ascending")]
        order = pc.sort_indices(keys, by).to_numpy()
        order = order[added[chosen.label_column].is_valid().to_numpy()[order]]
        tested = _within(keys, test)
        trained = _within(keys, train) if train else np.zeros(len(tested), bool)
        if chosen.train_only_where:
            trained &= labels[chosen.train_only_where].take(found).fill_null(False).to_numpy()
        return added, [order[trained[order]], order[tested[order]]]

    def _refuse_uncertified(self, table: str, rows: Any, spans: Sequence[Span]) -> None:
        days = sorted(pc.unique(rows["day"]).to_pylist())
        read = [day for day in days if any(span.first_day <= day <= span.last_day for span in spans)]
        self.published.refuse_uncertified(table, read, edition=self.edition, code=self.codes.get(table))

    def _columns(self, table: str, columns: list[str], span: Span | None) -> Any:
        days = {"first_day": span.first_day, "last_day": span.last_day} if span else {}
        rows = self.published.read(table, edition=self.edition, columns=columns, **days)
        for name in columns:
            if name not in rows.column_names:
                raise ColumnMissing(self.selection.model, name, rows.column_names)
        return rows


def _taken(held: dict[str, Any], *parts: Places) -> tuple[Any, ...]:
    """The rows of each part; a column is let go of once it is taken, so that never two tables are held."""
    taken: tuple[dict[str, Any], ...] = tuple({} for _ in parts)
    for name in list(held):
        column = held.pop(name).combine_chunks()
        for into, rows in zip(taken, parts, strict=True):
            into[name] = column.take(pa.array(rows))
        del column
        # Arrow keeps freed memory for later: as much again as the table by the end.
        pa.default_memory_pool().release_unused()
    return tuple(pa.table(columns) for columns in taken)


def _within(rows: Any, span: Span) -> NDArray[np.bool_]:
    day = rows["day"].to_numpy()
    return np.asarray((day >= np.datetime64(span.first_day)) & (day <= np.datetime64(span.last_day)))


def _refuse_repeated(table: str, key: str, rows: pa.Table, found: Any) -> None:
    """Refuse two rows of the same label; those without a label are in no part."""
    places = found.drop_null().to_numpy()
    if len(places) and np.bincount(places).max() > 1:
        _refuse_duplicates(table, key, rows)


def _refuse_duplicates(table: str, key: str, rows: pa.Table) -> None:
    if pc.count_distinct(rows[key], mode="all").as_py() == rows.num_rows:
        return
    counts = pc.value_counts(rows[key])
    most = counts[int(np.argmax(counts.field("counts").to_numpy()))]
    raise DuplicateKeys(table, key, most["values"].as_py(), most["counts"].as_py())
