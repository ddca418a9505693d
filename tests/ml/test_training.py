"""Training: the same rows give the same version; labels that teach nothing are refused."""

import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.bundle import Bundle
from ml.errors import LabelUnfit, OneClass
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml import parcels
from tests.ml.parcels import DECLARED, declared, definition


def test_the_version_is_the_same_for_any_threads_edition_and_order_of_rows(bundle: Bundle) -> None:
    tables, rows = parcels.world(), parcels.features()
    tables.publish(parcel_features=rows.take(list(range(rows.num_rows))[::-1]))
    again = train(assemble(tables, declared()), declared(), definition(), threads=2)
    assert again.version == bundle.version
    assert (bundle.origin["edition"], again.origin["edition"]) == (1, 2)


def test_the_version_is_the_same_in_another_process(bundle: Bundle) -> None:
    code = (
        "from ml.training import train; from ml.training_set import assemble;"
        "from tests.ml import parcels as p;"
        "print(train(assemble(p.world(), p.declared()), p.declared(), p.definition(), threads=2).version)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == bundle.version


def test_another_seed_row_or_sql_is_another_version(bundle: Bundle, training_set: TrainingSet) -> None:
    seeded = declared(engine={**DECLARED["engine"], "seed": 8})
    shorter = assemble(parcels.world(), declared(split={"holdout_days": 9}))
    versions = {
        bundle.version,
        train(training_set, seeded, definition()).version,
        train(shorter, declared(), definition()).version,
        train(training_set, declared(), replace(definition(), online_sql="select 1")).version,
    }
    assert len(versions) == 4


def test_the_receipt_says_what_made_it(bundle: Bundle, training_set: TrainingSet) -> None:
    receipt = bundle.receipt
    assert receipt["rows"]["rows_sha256"] == training_set.manifest.train.rows_sha256
    assert receipt["rows"]["last_day"] == "2024-03-12"
    assert receipt["feature_sql_sha256"] == definition().sql_sha256
    assert receipt["tables"] == {"features": "parcel_features", "label": "parcel_labels"}
    assert set(receipt["versions"]) == {"lightgbm", "numpy", "pyarrow"}
    assert bundle.origin["snapshots"] == {"parcel_features": 1000, "parcel_labels": 1001}
    assert bundle.declaration == declared()


def _labelled(training_set: TrainingSet, values: pa.Array) -> TrainingSet:
    place = training_set.train.column_names.index("is_late")
    return replace(training_set, train=training_set.train.set_column(place, "is_late", values))


def test_one_class_teaches_nothing(training_set: TrainingSet) -> None:
    n = training_set.train.num_rows
    with pytest.raises(OneClass, match=f"is True in all {n:,} train rows"):
        train(_labelled(training_set, pa.array([True] * n)), declared(), definition())


def test_a_label_must_be_true_or_false(training_set: TrainingSet) -> None:
    late = training_set.train["is_late"]
    as_integers = train(_labelled(training_set, late.cast(pa.int32())), declared(), definition())
    assert as_integers.fitted == train(training_set, declared(), definition()).fitted
    twos = pc.add(late.cast(pa.int64()), 1)
    with pytest.raises(LabelUnfit, match="holding 2"):
        train(_labelled(training_set, twos), declared(), definition())
    with pytest.raises(LabelUnfit, match="of type string"):
        train(_labelled(training_set, late.cast(pa.string())), declared(), definition())
