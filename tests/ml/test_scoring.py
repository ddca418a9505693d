"""Feature values become numbers in one way, in training and serving; what doesn't fit is named."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.bundle import Bundle
from ml.contract import Contract
from ml.errors import ColumnMissing, ColumnUnfit, DeclarationRefused, InfiniteValues
from ml.feature_definition import Column
from ml.scoring import Scorer, as_matrix, encode
from ml.training_set import TrainingSet
from tests.ml.parcels import declared, definition, using

ROW: dict[str, Any] = {
    "depot_id": ["S", "new", None, "Ö"],
    "n_ahead": [1, None, 2**40, -1],
    "weight_kg": pa.array([Decimal("0.001"), None, Decimal("2.5"), Decimal(0)], pa.decimal128(6, 3)),
    "price": pa.array([0.1, None, 3.0, 4.0], pa.float32()),
    "is_express": [True, False, None, True],
    "depot_delay_mean_3h_min": [0.0, None, float("nan"), 7.25],
    "never": pa.nulls(4),
}


def _with(**columns: Any) -> pa.Table:
    return pa.table({**ROW, **columns})


def test_values_become_numbers_as_the_contract_says(bundle: Bundle) -> None:
    matrix = as_matrix(encode(_with(), bundle.contract))
    nan = np.nan
    expected = np.array(
        [
            [1, 1, 0.001, float(np.float32(0.1)), 1, 0, nan],
            [nan, nan, nan, nan, 0, nan, nan],
            [nan, 2**40, 2.5, 3, nan, nan, nan],
            [3, -1, 0, 4, 1, 7.25, nan],
        ]
    )
    np.testing.assert_array_equal(matrix, expected)


def test_the_contract_learns_only_from_training_rows(bundle: Bundle, training_set: TrainingSet) -> None:
    depot, ahead, *_, never = bundle.contract.features
    assert depot.categories == ("N", "S", "W", "Ö")
    assert "new" in training_set.test["depot_id"].to_pylist()
    assert (ahead.type, ahead.minimum, ahead.maximum) == ("integer", 0, 199)
    assert (never.missing_share, never.minimum) == (1, None)
    assert bundle.contract.all_missing == ("never",)
    delay = bundle.contract.features[5]
    assert delay.unit == "min"
    assert delay.missing_share == pytest.approx(0.1, abs=0.02)
    assert Contract.from_json(bundle.contract.to_json()) == bundle.contract


def test_width_and_encoding_of_storage_do_not_matter(bundle: Bundle) -> None:
    scorer = Scorer(bundle)
    expected = scorer.score(_with())
    stored = _with(
        depot_id=pa.array(ROW["depot_id"]).dictionary_encode(),
        weight_kg=pa.array([0.001, None, 2.5, 0.0]),
        never=pa.nulls(4, pa.float32()),
        other=pa.array([["nested"]] * 4),
    )
    np.testing.assert_array_equal(scorer.score(stored), expected)


def test_rows_score_the_same_alone_and_together(bundle: Bundle, training_set: TrainingSet) -> None:
    scorer, rows = Scorer(bundle), training_set.test.slice(0, 200)
    together = scorer.score(rows)
    assert together.shape == (200,)
    assert ((together > 0) & (together < 1)).all()
    alone = np.concatenate([scorer.score(rows.slice(i, 1)) for i in range(200)])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(Scorer(bundle, threads=2).score(rows), together)
    assert scorer.score(rows.slice(0, 0)).shape == (0,)


def test_several_threads_may_score_at_once(bundle: Bundle, training_set: TrainingSet) -> None:
    scorer = Scorer(bundle)
    parts = [training_set.test.slice(i * 50, 50) for i in range(40)]
    expected = [scorer.score(part).tolist() for part in parts]
    with ThreadPoolExecutor(8) as pool:
        assert [scores.tolist() for scores in pool.map(scorer.score, parts)] == expected


def test_a_missing_column_is_named(bundle: Bundle) -> None:
    with pytest.raises(ColumnMissing, match=r'needs column "weight_kg".*\'weight_g\''):
        Scorer(bundle).score(_with().rename_columns(["depot_id", "n_ahead", "weight_g", *list(ROW)[3:]]))


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("n_ahead", ["1", "2", "3", "4"], '"n_ahead" is string; expected is integer'),
        ("is_express", [1, 0, 1, 0], '"is_express" is int64; expected is boolean'),
        ("price", [True, False, True, True], '"price" is bool; expected is real'),
    ],
)
def test_another_type_is_refused(bundle: Bundle, column: str, values: list[Any], told: str) -> None:
    with pytest.raises(ColumnUnfit, match=told):
        Scorer(bundle).score(_with(**{column: values}))


def test_infinite_values_are_refused_with_their_number(bundle: Bundle) -> None:
    with pytest.raises(InfiniteValues, match='"depot_delay_mean_3h_min" is infinite in 2 of 4 rows'):
        Scorer(bundle).score(_with(depot_delay_mean_3h_min=[np.inf, 1.0, -np.inf, None]))


def test_what_lies_in_memory_under_a_missing_value_is_no_value(bundle: Bundle) -> None:
    held = pa.array([1.0, float("inf"), 2.0, 3.0, float("inf")])
    (_, data), mask = held.buffers(), pa.array([True, False, True, True, True]).buffers()[1]
    hidden = pa.Array.from_buffers(pa.float64(), 5, [mask, data])
    found = encode(_with(depot_delay_mean_3h_min=hidden.slice(0, 4)), bundle.contract)
    assert found["depot_delay_mean_3h_min"].to_pylist() == [1, None, 2, 3]
    with pytest.raises(InfiniteValues, match="in 1 of 4 rows"):
        encode(_with(depot_delay_mean_3h_min=hidden.slice(1, 4)), bundle.contract)


def test_many_rows_score_as_a_few_do(bundle: Bundle, training_set: TrainingSet) -> None:
    scorer, few = Scorer(bundle), training_set.test.slice(0, 1000)
    many = pa.concat_tables([few] * 35)
    np.testing.assert_array_equal(scorer.score(many), np.tile(scorer.score(few), 35))


@pytest.mark.parametrize("kind", ["text", "timestamp"])
def test_text_and_times_are_no_features(training_set: TrainingSet, kind: Any) -> None:
    rows = training_set.train.append_column("note", training_set.train["parcel_id"])
    wanted = declared(features=using(["note"]))
    note = replace(definition(), features=(Column("note", kind, "A note."),))
    with pytest.raises(ColumnUnfit, match=f'"note" is {kind}; expected .*category: true'):
        Contract.learn(wanted, note, rows)


def test_a_column_the_definition_lacks_is_refused(training_set: TrainingSet) -> None:
    wanted = declared(features=using(["prize"]))
    with pytest.raises(DeclarationRefused, match="'price'"):
        Contract.learn(wanted, definition(), training_set.train)


def test_numbers_are_copied_only_where_they_must_be(bundle: Bundle) -> None:
    whole = pa.array([1, 2, 3, 4], pa.int32())
    rows = _with(n_ahead=whole, depot_delay_mean_3h_min=pa.array([0.0, 1.0, 2.0, 3.0]))
    coded = encode(rows, bundle.contract)
    for name in ("n_ahead", "depot_delay_mean_3h_min"):
        (given,), (passed,) = rows[name].chunks, coded[name].chunks
        assert passed.buffers()[1].address == given.buffers()[1].address
    gaps = encode(_with(n_ahead=pa.array([1, None, 3, 4], pa.int32())), bundle.contract)
    assert as_matrix(gaps)[1, 1] != as_matrix(gaps)[1, 1], "a gap is NaN"
