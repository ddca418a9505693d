"""From a training set to a bundle; the same rows give the same version.

Nothing is stored, compared or promoted here.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

import pyarrow as pa

from ml import canonical
from ml.bundle import CALIBRATION, Bundle
from ml.calibration import Calibrated, Calibrator, calibrate, held_back
from ml.calibration import versions as calibration_versions
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.drift.fingerprint import Fingerprint
from ml.drift.taking import FILE as FINGERPRINT
from ml.drift.taking import fingerprint_of
from ml.engines import ENGINES
from ml.engines.protocol import Fitted, Parameter
from ml.feature_definition import FeatureDefinition
from ml.labels import by_group, classes_of, labels_of, target_of
from ml.samples import FILE as SAMPLES
from ml.samples import Samples, sampled
from ml.scoring import as_matrix, encode
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


@dataclass(frozen=True)
class Learned:
    """What was learned of training rows: the contract, the engine's model, and the step after it if any.

    `fingerprint` are the rows' values counted, where that was asked for.
    """

    contract: Contract
    fitted: Fitted
    calibrator: Calibrator | None
    fingerprint: Fingerprint | None = None

    @property
    def scoring(self) -> Fitted:
        """What scores: the model with its step."""
        return Calibrated(self.fitted, self.calibrator) if self.calibrator else self.fitted


def fit(
    train: pa.Table,
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    *,
    threads: int = 0,
    found: Found | None = None,
    count: bool = False,
) -> Learned:
    """Fit the declared engine on training rows, but for the newest days if a calibration needs those.

    With `count` their fingerprint is taken too.

    Raises LabelUnfit, OneClass, ColumnUnfit, InfiniteValues, FeaturesEmpty, TooManyCategories,
    DeclarationRefused, EngineRefused, EmptySplit or CalibrationUnfit.
    """
    older, newer = held_back(declaration, train)
    del train  # here and below: what nobody else holds is let go of before the engine needs the room
    rows = by_group(declaration, older)
    del older
    classes = classes_of(declaration, rows)
    labels = labels_of(declaration, rows, "train", classes)
    contract = Contract.learn(declaration, definition, rows, classes)
    counted = fingerprint_of(contract, rows) if count else None
    encoded = [encode(rows, contract)]
    del rows
    fitted = ENGINES[declaration.engine.name].fit(
        encoded.pop(),
        target_of(declaration, labels, classes),
        categories=contract.categories,
        seed=declaration.engine.seed,
        parameters={**declaration.engine.parameters, **(found.parameters if found else {})},
        threads=threads,
    )
    if newer is None:
        return Learned(contract, fitted, None, counted)
    came_true = labels_of(declaration, newer, "calibration", classes)
    values = as_matrix(encode(newer, contract))
    step = calibrate(declaration, fitted, values, came_true, newer["day"])
    return Learned(contract, fitted, step, counted)


def versions_of(declaration: ModelDeclaration) -> Mapping[str, str]:
    """Of the libraries that decide what a fit gives."""
    engine = ENGINES[declaration.engine.name].versions()
    return {**engine, **calibration_versions()} if declaration.calibration else engine


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

    Raises what `fit` raises.
    """
    manifest, rows = training_set.manifest, [training_set.train]
    shown = sampled(training_set.train, declaration.features.columns)
    del training_set
    learned = fit(rows.pop(), declaration, definition, threads=threads, found=found, count=True)
    receipt = {
        "rows": manifest.train,
        "tables": {"features": declaration.features.table, "label": declaration.label.table},
        "feature_sql_sha256": definition.sql_sha256,
        "declaration_sha256": canonical.digest(canonical.dumps(declaration)),
        "seed": declaration.engine.seed,
        "search": found,
        "versions": {**versions_of(declaration), **{name: version(name) for name in ("numpy", "pyarrow")}},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    files = {
        ENGINES[declaration.engine.name].file: learned.fitted.save(),
        "contract.json": learned.contract.to_json(),
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
    files[SAMPLES] = Samples.of(learned.scoring, learned.contract, shown).to_json()
    if learned.fingerprint:
        files[FINGERPRINT] = learned.fingerprint.to_json()
    if learned.calibrator:
        files[CALIBRATION] = learned.calibrator.to_json()
    return Bundle({name: text.encode() for name, text in files.items()})
