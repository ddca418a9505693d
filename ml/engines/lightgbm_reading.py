"""Run as a script, of the standard library alone: LightGBM reads a model text from stdin and scores rows.

Arguments: the path of LightGBM's library. Exit code 3 when LightGBM reports an error, which goes to stderr.
"""

import ctypes
import sys

REFUSED = 3
_FLOAT64, _ROW_MAJOR, _NORMAL, _ALL_TREES, _MOST_SCORES = 1, 1, 0, -1, 100_000


def read(library_path: str, text: bytes) -> int:
    """Read, and score a row of zeros and one without values."""
    library = ctypes.CDLL(library_path)
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    booster, n_found, n_features = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
    failed = library.LGBM_BoosterLoadModelFromString(text, ctypes.byref(n_found), ctypes.byref(booster))
    failed = failed or library.LGBM_BoosterGetNumFeature(booster, ctypes.byref(n_features))
    scores, n_scores = (ctypes.c_double * _MOST_SCORES)(), ctypes.c_int64()
    for value in (0.0, float("nan")):
        row = (ctypes.c_double * n_features.value)(*[value] * n_features.value)
        failed = failed or library.LGBM_BoosterPredictForMat(
            booster,
            row,
            _FLOAT64,
            ctypes.c_int32(1),
            n_features,
            _ROW_MAJOR,
            _NORMAL,
            0,
            _ALL_TREES,
            b"num_threads=1 verbosity=-1",
            ctypes.byref(n_scores),
            scores,
        )
    if failed:
        sys.stderr.write((library.LGBM_GetLastError() or b"").decode(errors="replace"))
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(read(sys.argv[1], sys.stdin.buffer.read()))
