"""The rows a model is trained and tested on: features joined with labels, split by days, named by their hash.

Publishing tables is the lake's matter, fitting is training's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from ml import canonical
from ml.declaration import ModelDeclaration
from ml.errors import ColumnMissing, EmptySplit, RowsChanged, UnknownColumn, UnknownTable
from ml.labelled_rows import E, LabelledRows, Published, Selection
from ml.rows import rows_sha256
from ml.split import Span, split_days


@dataclass(frozen=True)
class Part:
    """One side of the split: its days, its rows, their mean label (None for text) and the hash of values."""

    first_day: date
    last_day: date
    n_days: int
    n_rows: int
    label_mean: float | None
    rows_sha256: str


@dataclass(frozen=True)
class Manifest:
    """What `TrainingSet.load` needs to read the same rows again, and to know that they are the same.

    `codes` names by table the code that made its rows; empty where nobody said which it had to be.
    """

    selection: Selection
    edition_id: int
    snapshots: Mapping[str, int]
    train: Part
    test: Part
    codes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


@dataclass(frozen=True)
class TrainingSet:
    """Two Arrow tables (key, prediction_at, day, features, label), sorted by prediction_at, then key."""

    train: pa.Table
    test: pa.Table
    manifest: Manifest

    def tested(self) -> Self:
        """The same without the rows to train on, so that these need not be held any longer."""
        return replace(self, train=self.train.schema.empty_table())

    @classmethod
    def load(cls, manifest: Manifest, published: Published[E]) -> Self:
        """Read the manifest's rows again; raises RowsChanged when they are not the same values."""
        edition = published.edition(manifest.edition_id)
        source = LabelledRows(published, edition, manifest.selection, manifest.codes)
        train_span, test_span = _span(manifest.train), _span(manifest.test)
        labels = source.labels(Span(train_span.first_day, test_span.last_day))
        train, test = source.join(labels, train_span, test_span)
        for name, rows, part in (("train", train, manifest.train), ("test", test, manifest.test)):
            found = rows_sha256(rows)
            if found != part.rows_sha256:
                raise RowsChanged(
                    manifest.selection.model, name, manifest.edition_id, part.rows_sha256, found
                )
        return cls(train, test, manifest)


def assemble(
    published: Published[E],
    declaration: ModelDeclaration,
    edition: E | None = None,
    codes: Mapping[str, str] | None = None,
) -> TrainingSet:
    """Join features and labels of one edition and split them by the declaration.

    Rows without label are left out; training rows also where `train_only_where` isn't true. All rows must be
    made by the code that `codes` names by table, or by one and the same. Raises EmptySplit, DuplicateKeys,
    ColumnMissing, Uncertified or MadeByOtherCode.
    """
    edition = edition or published.edition()
    selection = select(declaration)
    source = LabelledRows(published, edition, selection, codes or {})
    labels = source.labels()
    days = source.labelled_days(labels)
    train_span, test_span = split_days(declaration.name, declaration.split, days)
    train, test = source.join(labels, train_span, test_span)
    tables = (selection.features_table, selection.label_table)
    manifest = Manifest(
        selection=selection,
        edition_id=edition.id,
        snapshots={table: edition.snapshots[table] for table in tables},
        train=_part(train, "train", selection, train_span),
        test=_part(test, "test", selection, test_span),
        codes={table: codes[table] for table in tables if table in codes} if codes else {},
    )
    return TrainingSet(train, test, manifest)


def select(declaration: ModelDeclaration) -> Selection:
    """What the declaration reads."""
    return Selection(
        model=declaration.name,
        key=declaration.key,
        features_table=declaration.features.table,
        columns=declaration.features.columns,
        label_table=declaration.label.table,
        label_column=declaration.label.column,
        train_only_where=declaration.label.train_only_where,
        group=declaration.label.group,
    )


def rows_for(training_set: TrainingSet, declaration: ModelDeclaration, published: Published[E]) -> pa.Table:
    """The test rows with another declaration's features beside them, for scoring a champion.

    The test rows as they are when they hold these features already, and when the edition has no such
    features any more: evaluation then says which are missing.
    """
    manifest, wanted = training_set.manifest, declaration.features
    if set(wanted.columns) <= set(training_set.test.column_names):
        return training_set.test
    selection = replace(manifest.selection, features_table=wanted.table, columns=wanted.columns)
    edition = published.edition(manifest.edition_id)
    source = LabelledRows(published, edition, selection, manifest.codes)
    span = _span(manifest.test)
    try:
        return source.join(source.labels(span), None, span)[1]
    except (ColumnMissing, UnknownColumn, UnknownTable):
        return training_set.test


def train_rows_now(published: Published[E], declaration: ModelDeclaration, train: Span, test: Span) -> str:
    """The hash that the training rows of a declaration and of given days have in the newest edition."""
    source = LabelledRows(published, published.edition(), select(declaration))
    labels = source.labels(Span(train.first_day, test.last_day))
    return rows_sha256(source.join(labels, train, test)[0])


def _part(rows: Any, name: str, selection: Selection, span: Span) -> Part:
    if not rows.num_rows:
        rule = f"labels in {selection.label_table!r}, features in {selection.features_table!r}"
        if name == "train" and selection.train_only_where:
            rule += f" and {selection.train_only_where!r}"
        raise EmptySplit(selection.model, name, rule, f"the days {span.first_day} to {span.last_day}")
    return Part(
        first_day=span.first_day,
        last_day=span.last_day,
        n_days=pc.count_distinct(rows["day"]).as_py(),
        n_rows=rows.num_rows,
        label_mean=_mean(rows[selection.label_column]),
        rows_sha256=rows_sha256(rows),
    )


def _mean(label: Any) -> float | None:
    kind = label.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)
    return None if is_text else float(pc.mean(label.cast(pa.float64())).as_py())


def _span(part: Part) -> Span:
    return Span(part.first_day, part.last_day)
