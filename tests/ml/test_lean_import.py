"""Leaving out what a library would load for nobody; what serving imports stays small."""

import subprocess
import sys

import pytest

from ml.lean_import import without

SERVING = """
import sys
import ml.bundle, ml.contract, ml.ledger, ml.registry, ml.scoring
from ml.engines.lightgbm import _library
_library()
heavy = {"sklearn", "matplotlib", "pandas", "pyiceberg", "dagster", "dbt"}
print(sorted(heavy & set(sys.modules)))
import pandas
import os
print(os.environ["OMP_WAIT_POLICY"])
"""


def test_serving_imports_nothing_heavy_and_pandas_still_imports_after() -> None:
    told = subprocess.run([sys.executable, "-c", SERVING], check=True, capture_output=True, text=True)
    assert told.stdout.split() == ["[]", "passive"]


def test_what_is_left_out_looks_as_if_not_installed_while_it_lasts() -> None:
    sys.modules.pop("colorsys", None)
    with without("colorsys"), pytest.raises(ModuleNotFoundError, match="colorsys"):
        __import__("colorsys")
    assert __import__("colorsys")
    with without("colorsys"):
        assert __import__("colorsys")
