"""From a training set to a bundle; the same rows give the same version.

Nothing is stored, compared or promoted here.
"""

import platform
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml import canonical
from ml.bundle import Bundle
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.engines import ENGINES
from ml.errors import LabelUnfit, OneClass
from ml.feature_definition import FeatureDefinition
from ml.scoring import encode
from ml.training_set import TrainingSet


def train(
    training_set: TrainingSet,
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    *,
    code: str = "",
    threads: int = 0,
) -> Bundle:
    """Fit the declared engine on the training rows; `threads` 0 means as many as there are cores.

    `code` names the code of the tables that the rows are from; it is kept, and is no part of the version.

    Raises LabelUnfit, OneClass, ColumnUnfit, InfiniteValues, DeclarationRefused or EngineRefused.
    """
    engine = ENGINES[declaration.engine.name]
    rows = training_set.train
    label = binary_label(declaration, rows, "train")
    contract = Contract.learn(declaration, definition, rows)
    fitted = engine.fit(
        encode(rows, contract),
        label.astype(np.float32),
        task=declaration.task,
        categories=tuple(f.name for f in contract.features if f.type == "category"),
        seed=declaration.engine.seed,
        parameters=declaration.engine.parameters,
        threads=threads,
    )
    manifest = training_set.manifest
    receipt = {
        "rows": manifest.train,
        "tables": {"features": declaration.features.table, "label": declaration.label.table},
        "feature_sql_sha256": definition.sql_sha256,
        "declaration_sha256": canonical.digest(canonical.dumps(declaration)),
        "seed": declaration.engine.seed,
        "versions": {**engine.versions(), **{name: version(name) for name in ("numpy", "pyarrow")}},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    files = {
        "trees.txt": fitted.save(),
        "contract.json": contract.to_json(),
        "features.sql": definition.online_sql,
        "declaration.json": canonical.dumps(declaration),
        "receipt.json": canonical.dumps(receipt),
        "origin.json": canonical.dumps(
            {
                "edition": manifest.edition_id,
                "snapshots": manifest.snapshots,
                "tested_on": manifest.test,
                "code": code,
            }
        ),
    }
    return Bundle({name: text.encode() for name, text in files.items()})


def binary_label(declaration: ModelDeclaration, rows: pa.Table, part: str) -> np.ndarray:
    """The label as booleans of shape (n,); raises LabelUnfit for other values, OneClass for only one."""
    column = rows[declaration.label.column]
    if not (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type)):
        raise LabelUnfit(declaration.name, declaration.label.column, f"of type {column.type}")
    values = pc.unique(column).to_pylist()
    strange = [value for value in values if value not in (0, 1)]
    if strange:
        raise LabelUnfit(declaration.name, declaration.label.column, f"holding {strange[0]!r}")
    if len(values) == 1:
        raise OneClass(declaration.name, part, declaration.label.column, values[0], rows.num_rows)
    return np.asarray(column.cast(pa.bool_()).to_numpy())
