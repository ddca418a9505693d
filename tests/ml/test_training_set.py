"""Training sets: which rows, in which order, split where; the same again, or a refusal."""

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.errors import ColumnMissing, DuplicateKeys, EmptySplit, RowsChanged, Uncertified
from ml.rows import rows_sha256
from ml.training_set import Manifest, TrainingSet, assemble, rows_for
from tests.ml.parcels import FIRST_DAY, N_DAYS, Tables, declared, features, labels, using, world

LAST_DAY = FIRST_DAY + timedelta(days=N_DAYS - 1)


def test_the_newest_days_are_held_out_and_nothing_overlaps(training_set: TrainingSet) -> None:
    train, test = training_set.manifest.train, training_set.manifest.test
    assert (train.first_day, train.last_day) == (FIRST_DAY, LAST_DAY - timedelta(days=8))
    assert (test.first_day, test.last_day, test.n_days) == (LAST_DAY - timedelta(days=7), LAST_DAY, 8)
    assert pc.max(training_set.train["day"]).as_py() < pc.min(training_set.test["day"]).as_py()


def test_training_rows_obey_the_condition_and_test_rows_do_not(training_set: TrainingSet) -> None:
    every = labels(features())
    with_van = every.filter(every["has_van"])
    known = set(every.filter(every["is_late"].is_valid())["parcel_id"].to_pylist())
    assert set(training_set.train["parcel_id"].to_pylist()) <= set(with_van["parcel_id"].to_pylist())
    without = set(every["parcel_id"].to_pylist()) - set(with_van["parcel_id"].to_pylist())
    assert set(training_set.test["parcel_id"].to_pylist()) & without
    assert set(training_set.test["parcel_id"].to_pylist()) <= known
    assert training_set.test["is_late"].null_count == 0


def test_rows_are_joined_by_key_and_sorted_by_time_then_key(training_set: TrainingSet) -> None:
    by_key = dict(
        zip(*(c.to_pylist() for c in labels(features()).select(["parcel_id", "is_late"])), strict=True)
    )
    rows = training_set.test.to_pylist()
    assert all(row["is_late"] == by_key[row["parcel_id"]] for row in rows)
    order = [(row["prediction_at"], row["parcel_id"]) for row in rows]
    assert order == sorted(order)


def test_the_manifest_reads_the_same_rows_again(training_set: TrainingSet) -> None:
    manifest = Manifest.from_json(training_set.manifest.to_json())
    again = TrainingSet.load(manifest, world())
    assert again.manifest == training_set.manifest
    assert again.train["parcel_id"].equals(training_set.train["parcel_id"])
    assert again.test["n_ahead"].equals(training_set.test["n_ahead"])


def test_order_of_publishing_does_not_matter(training_set: TrainingSet) -> None:
    tables, rows = world(), features()
    edition = tables.publish(parcel_features=rows.take(list(range(rows.num_rows))[::-1]))
    again = assemble(tables, declared(), edition)
    assert again.manifest.train.rows_sha256 == training_set.manifest.train.rows_sha256
    assert again.manifest.edition_id == 2


def test_changed_rows_are_refused_by_part(training_set: TrainingSet) -> None:
    tables = world()
    price = tables.editions[0]["parcel_features"]["price"].to_pylist()
    price[0] = 77.0
    rows = tables.editions[0]["parcel_features"]
    tables.editions[0]["parcel_features"] = rows.set_column(6, "price", pa.array(price, pa.float32()))
    with pytest.raises(RowsChanged, match="rows read again from edition 1"):
        TrainingSet.load(training_set.manifest, tables)


def test_explicit_days_leave_the_gap_out() -> None:
    split = {"train_until": "2024-03-01", "test_from": "2024-03-05", "test_until": "2024-03-06"}
    manifest = assemble(world(), declared(split=split)).manifest
    assert (manifest.train.first_day, manifest.train.last_day) == (FIRST_DAY, date(2024, 3, 1))
    assert (manifest.test.first_day, manifest.test.last_day) == (date(2024, 3, 5), date(2024, 3, 6))


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"holdout_days": 30}, "no train rows remain by holdout_days 30, of 30 labelled days"),
        ({"train_until": "2024-03-01", "test_from": "2025-01-01"}, "no test rows remain"),
        ({"train_until": "2020-03-01", "test_from": "2024-03-01"}, "no train rows remain"),
    ],
)
def test_an_empty_side_of_the_split_is_refused(split: dict[str, object], told: str) -> None:
    with pytest.raises(EmptySplit, match=told):
        assemble(world(), declared(split=split))


def test_no_trainable_row_is_refused_with_the_condition() -> None:
    tables, known = world(), labels(features())
    nothing = known.set_column(3, "has_van", pa.array([False] * known.num_rows))
    tables.publish(parcel_labels=nothing)
    with pytest.raises(EmptySplit, match="'has_van'"):
        assemble(tables, declared())


def test_labels_without_any_value_are_refused() -> None:
    tables, known = world(), labels(features())
    tables.publish(parcel_labels=known.set_column(2, "is_late", pa.nulls(known.num_rows, pa.bool_())))
    with pytest.raises(EmptySplit, match="no labelled day at all"):
        assemble(tables, declared())


def test_two_rows_of_one_entity_are_refused_by_key() -> None:
    tables, rows = world(), features()
    tables.publish(parcel_features=pa.concat_tables([rows, rows.slice(5, 1)]))
    with pytest.raises(DuplicateKeys, match=f"2 rows with parcel_id '{rows['parcel_id'][5]}'"):
        assemble(tables, declared())


def test_a_champion_with_other_features_is_given_its_columns(training_set: TrainingSet) -> None:
    wanted = using(["depot_id", "weight_kg", "extra"])
    theirs = declared(features=wanted)
    tables = world()
    assert rows_for(training_set, declared(), tables) is training_set.test
    assert rows_for(training_set, theirs, _Strict(tables.editions)) is training_set.test
    rows = features()
    tables.editions[0]["parcel_features"] = rows.append_column("extra", pa.array(range(rows.num_rows)))
    found = rows_for(training_set, theirs, tables)
    assert found["parcel_id"].equals(training_set.test["parcel_id"])
    assert "extra" in found.column_names
    assert rows_sha256(found.select(["weight_kg"])) == rows_sha256(training_set.test.select(["weight_kg"]))


class _Strict(Tables):
    """Refuses columns it doesn't have, as the lake does."""

    def read(self, table: str, **what: Any) -> pa.Table:
        missing = set(what["columns"]) - set(self.editions[0][table].column_names)
        if missing:
            raise ColumnMissing("late_parcel", missing.pop(), self.editions[0][table].column_names)
        return super().read(table, **what)


@pytest.mark.parametrize("table", ["parcel_features", "parcel_labels"])
def test_no_training_set_is_made_of_rows_that_are_not_certified(
    training_set: TrainingSet, table: str
) -> None:
    tables = world()
    tables.uncertified[table, FIRST_DAY] = "the check 'unique' failed"
    with pytest.raises(Uncertified, match=f"\"{table}\" of {FIRST_DAY}.*'unique' failed"):
        assemble(tables, declared())
    with pytest.raises(Uncertified):
        TrainingSet.load(training_set.manifest, tables)


def test_a_day_that_is_not_read_needs_no_certificate() -> None:
    tables = world()
    tables.uncertified["parcel_features", date(2024, 3, 3)] = "the check 'unique' failed"
    split = {"train_until": "2024-03-01", "test_from": "2024-03-05", "test_until": "2024-03-06"}
    assert assemble(tables, declared(split=split)).train.num_rows
