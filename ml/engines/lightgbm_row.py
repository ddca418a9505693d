"""LightGBM's C entry for one row at a time, which its Python package leaves out (LightGBM#6913).

Trees, batches and everything else go through the package.
"""

import ctypes
import struct
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.errors import EngineRefused

_FLOAT64, _NORMAL, _RAW = 1, 0, 1  # C_API_DTYPE_FLOAT64, C_API_PREDICT_NORMAL, C_API_PREDICT_RAW_SCORE
_ALL_TREES = -1


class LightGBMRow:
    """Scores one row in about 17 µs; the booster's own `predict` takes 50 to 200."""

    def __init__(self, booster: Any, n_features: int, *, raw: bool) -> None:
        self._booster, self._n_features, self._raw = booster, n_features, raw
        self._n_scores = int(booster.num_model_per_iteration())
        self._local = threading.local()

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raises EngineRefused when LightGBM reports an error."""
        try:
            call = self._local.call
        except AttributeError:
            call = self._local.call = _Call(self._booster, self._n_features, self._n_scores, raw=self._raw)
        found: NDArray[np.float64] = call.score(values)
        return found

    def of(self, values: Sequence[float]) -> list[float]:
        """The same of plain numbers, with nothing of NumPy on the way."""
        try:
            call = self._local.call
        except AttributeError:
            call = self._local.call = _Call(self._booster, self._n_features, self._n_scores, raw=self._raw)
        found: list[float] = call.of(values)
        return found


class _Call:
    """What one thread needs: LightGBM's prepared call may not be shared."""

    def __init__(self, booster: Any, n_features: int, n_scores: int, *, raw: bool) -> None:
        from lightgbm.basic import _LIB

        self._library, self._booster = _LIB, booster
        self._prepared = ctypes.c_void_p()
        self._check(
            _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster._handle,
                ctypes.c_int(_RAW if raw else _NORMAL),
                ctypes.c_int(0),
                ctypes.c_int(_ALL_TREES),
                ctypes.c_int(_FLOAT64),
                ctypes.c_int32(n_features),
                b"num_threads=1 verbosity=-1",
                ctypes.byref(self._prepared),
            )
        )
        self._scores = np.empty(n_scores)
        self._length = ctypes.byref(ctypes.c_int64())
        self._into = self._scores.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        self._row = (ctypes.c_double * n_features)()
        self._pack = struct.Struct(f"{n_features}d").pack_into
        self._told = (ctypes.c_double * n_scores)()
        self._predict = _LIB.LGBM_BoosterPredictForMatSingleRowFast

    def score(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        data = ctypes.c_void_p(values.ctypes.data)
        if self._predict(self._prepared, data, self._length, self._into):
            self._check(1)
        return self._scores.copy()

    def of(self, values: Sequence[float]) -> list[float]:
        self._pack(self._row, 0, *values)
        if self._predict(self._prepared, self._row, self._length, self._told):
            self._check(1)
        return self._told[:]

    def __del__(self) -> None:
        if self._prepared:
            self._library.LGBM_FastConfigFree(self._prepared)

    def _check(self, status: int) -> None:
        if status:
            self._library.LGBM_GetLastError.restype = ctypes.c_char_p
            raise EngineRefused("lightgbm", "predict", self._library.LGBM_GetLastError().decode())
