"""What is to be predicted, checked and as numbers, for each task.

Which rows there are is the training set's matter, how predictions are measured the metrics'.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.contract import as_text
from ml.declaration import ModelDeclaration
from ml.engines.protocol import Target
from ml.errors import LabelUnfit, OneClass

MAX_CLASSES = 100
MAX_GRADE = 30  # LightGBM's gains are 2 ** grade - 1
Labels = NDArray[Any]


def classes_of(declaration: ModelDeclaration, rows: pa.Table) -> tuple[str, ...]:
    """The classes in the order of their codes, of a multiclass label; none for another task.

    Raises LabelUnfit for a label that has no classes, or too many.
    """
    if declaration.task != "multiclass":
        return ()
    column = rows[declaration.label.column]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise _unfit(declaration, f"of type {column.type}", "text, integer or boolean")
    found = pc.unique(column).drop_null() if column.null_count else pc.unique(column)
    if len(found) > MAX_CLASSES:
        expected = (
            f"at most {MAX_CLASSES} classes (group rare ones in the label table, or declare a regression)"
        )
        raise _unfit(declaration, f"of {len(found):,} classes", expected)
    values = found.to_pylist()
    return tuple(text for _, text in sorted(zip(values, as_text(found).to_pylist(), strict=True)))


def labels_of(
    declaration: ModelDeclaration, rows: pa.Table, part: str, classes: tuple[str, ...] = ()
) -> Labels:
    """The label of n rows without null: what metrics take.

    binary: booleans (n,); regression: float64 (n,); multiclass: codes (n,), -1 for none of `classes`;
    ranking: integers (n, 2) of grade and group. Raises LabelUnfit, or OneClass where all are the same.
    """
    labels = _CHECKED[declaration.task](declaration, rows, classes)
    told = labels[:, 0] if labels.ndim > 1 else labels
    if len(told) and told.min() == told.max():
        value = rows[declaration.label.column][0].as_py()
        raise OneClass(declaration.name, part, declaration.label.column, value, rows.num_rows)
    return labels


def target_of(declaration: ModelDeclaration, labels: Labels, classes: tuple[str, ...]) -> Target:
    """The same as an engine takes it; rows of a ranking stand together by group (`by_group`)."""
    if declaration.task != "ranking":
        return Target(declaration.task, labels.astype(np.float64), len(classes))
    starts = np.flatnonzero(np.diff(labels[:, 1], prepend=-1))
    sizes = np.diff(np.append(starts, len(labels)))
    return Target(declaration.task, labels[:, 0].astype(np.float64), groups=sizes)


def by_group(declaration: ModelDeclaration, rows: pa.Table) -> pa.Table:
    """The rows of each group of a ranking together, groups in order of their first row; else as they are."""
    if declaration.label.group is None:
        return rows
    groups = _groups(declaration, rows)
    return rows.take(np.argsort(groups, kind="stable"))


def _binary(declaration: ModelDeclaration, rows: pa.Table, _: tuple[str, ...]) -> Labels:
    column, expected = rows[declaration.label.column], "boolean, or integer 0 and 1"
    if not (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type)):
        raise _unfit(declaration, f"of type {column.type}", expected)
    strange = [value for value in pc.unique(column).to_pylist() if value not in (0, 1)]
    if strange:
        raise _unfit(declaration, f"holding {strange[0]!r}", expected)
    return np.asarray(column.cast(pa.bool_()).to_numpy())


def _number(declaration: ModelDeclaration, rows: pa.Table, _: tuple[str, ...]) -> Labels:
    column, kind = rows[declaration.label.column], rows[declaration.label.column].type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise _unfit(declaration, f"of type {kind}", "a number (integer, real or decimal)")
    values = np.asarray(column.cast(pa.float64()).to_numpy())
    n_strange = int((~np.isfinite(values)).sum())
    if n_strange:
        found = f"infinite or not a number in {n_strange:,} of {len(values):,} rows"
        raise _unfit(declaration, found, "finite, or null where it is not known")
    return values


def _class(declaration: ModelDeclaration, rows: pa.Table, classes: tuple[str, ...]) -> Labels:
    known = pa.array(classes, pa.string())
    codes = pc.index_in(as_text(rows[declaration.label.column]), value_set=known)
    return np.asarray(codes.fill_null(-1).to_numpy()).astype(np.int64)


def _grade(declaration: ModelDeclaration, rows: pa.Table, _: tuple[str, ...]) -> Labels:
    column, expected = rows[declaration.label.column], f"a whole grade from 0 to {MAX_GRADE}"
    if not (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        raise _unfit(declaration, f"of type {column.type}", expected)
    grades = np.asarray(column.cast(pa.int64()).to_numpy())
    strange = grades[(grades < 0) | (grades > MAX_GRADE)]
    if len(strange):
        raise _unfit(declaration, f"holding {strange[0]}", expected)
    return np.column_stack([grades, _groups(declaration, rows)])


def _groups(declaration: ModelDeclaration, rows: pa.Table) -> NDArray[np.int64]:
    name = str(declaration.label.group)
    column = rows[name].combine_chunks()
    if column.null_count:
        raise LabelUnfit(
            declaration.name, name, f"null in {column.null_count:,} rows", "the group of every row"
        )
    return np.asarray(column.dictionary_encode().indices.to_numpy()).astype(np.int64)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _unfit(declaration: ModelDeclaration, found: str, expected: str) -> LabelUnfit:
    return LabelUnfit(declaration.name, declaration.label.column, found, f"{expected}, by its task")


_CHECKED: Mapping[str, Callable[[ModelDeclaration, pa.Table, tuple[str, ...]], Labels]] = {
    "binary": _binary,
    "multiclass": _class,
    "ranking": _grade,
    "regression": _number,
}
