"""Rows that nobody holds any more are no longer in memory."""

import gc

import pyarrow as pa

from ml.memory import given_back
from ml.training import train
from ml.training_set import assemble
from tests.ml.parcels import declared, definition, world


def test_rows_to_train_on_are_let_go_of_unless_the_caller_holds_them() -> None:
    rows = assemble(world(), declared())
    gc.collect()
    before = pa.total_allocated_bytes()
    tested = rows.tested()
    assert tested.test is rows.test
    assert (tested.train.num_rows, tested.manifest) == (0, rows.manifest)
    held = rows.train.nbytes
    bundle = train(rows, declared(), definition())
    assert bundle.fitted
    del rows
    gc.collect()
    assert pa.total_allocated_bytes() <= before - held / 2


def test_large_columns_come_from_the_system_and_go_back_to_it() -> None:
    with given_back():
        column = pa.array(range(100))
    assert pa.default_memory_pool().backend_name == "system"
    assert column.to_pylist()[-1] == 99
