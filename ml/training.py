"""From a training set to a bundle; the same rows give the same version.

Nothing is stored, compared or promoted here.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from ml import canonical
from ml.bundle import Bundle
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.engines import ENGINES
from ml.engines.protocol import Parameter
from ml.feature_definition import FeatureDefinition
from ml.labels import by_group, classes_of, labels_of, target_of
from ml.scoring import encode
from ml.training_set import TrainingSet


@dataclass(frozen=True)
class Found:
    """What a search found: the best parameters and their metric, of how many trials, in which study."""

    study: str
    parameters: Mapping[str, Parameter]
    metric: str
    value: float
    n_trials: int
    n_pruned: int


def found_for(bundle: Bundle) -> Found | None:
    """What a search found for a bundle; None where nothing was searched."""
    found = bundle.receipt.get("search")
    return Found(**found) if found else None


def train(
    training_set: TrainingSet,
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    *,
    code: str = "",
    threads: int = 0,
    found: Found | None = None,
) -> Bundle:
    """Fit the declared engine on the training rows; `threads` 0 means as many as there are cores.

    `code` names the code of the tables that the rows are from; it is kept, and is no part of the version.
    `found` are the parameters that a search found, which count before the declared ones.

    Raises LabelUnfit, OneClass, ColumnUnfit, InfiniteValues, FeaturesEmpty, TooManyCategories,
    DeclarationRefused or EngineRefused.
    """
    engine = ENGINES[declaration.engine.name]
    rows = by_group(declaration, training_set.train)
    classes = classes_of(declaration, rows)
    labels = labels_of(declaration, rows, "train", classes)
    contract = Contract.learn(declaration, definition, rows, classes)
    fitted = engine.fit(
        encode(rows, contract),
        target_of(declaration, labels, classes),
        categories=contract.categories,
        seed=declaration.engine.seed,
        parameters={**declaration.engine.parameters, **(found.parameters if found else {})},
        threads=threads,
    )
    manifest = training_set.manifest
    receipt = {
        "rows": manifest.train,
        "tables": {"features": declaration.features.table, "label": declaration.label.table},
        "feature_sql_sha256": definition.sql_sha256,
        "declaration_sha256": canonical.digest(canonical.dumps(declaration)),
        "seed": declaration.engine.seed,
        "search": found,
        "versions": {**engine.versions(), **{name: version(name) for name in ("numpy", "pyarrow")}},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    files = {
        engine.file: fitted.save(),
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
