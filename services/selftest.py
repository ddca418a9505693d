"""Whether a model that was loaded scores as it did when it was trained, and fast enough.

Whether its answers make sense is `serving`'s; what is done about one that fails, its caller's.
"""

import time

import numpy as np

from ml.bundle import Bundle
from ml.errors import ModelTooSlow, SelfTestFailed
from ml.row_scoring import RowScorer
from ml.samples import FILE as SAMPLES
from ml.samples import Samples

_TIMES = 5


def checked_samples(bundle: Bundle, scorer: RowScorer) -> Samples | None:
    """The rows kept with a model, which it must score as it did then: together and one by one.

    Raises SelfTestFailed; None for a bundle that has none.
    """
    if SAMPLES not in bundle.files:
        return None
    try:
        samples = Samples.from_json(bundle.files[SAMPLES])
    except ValueError as damage:
        raise SelfTestFailed(bundle.model, bundle.version, f"{SAMPLES} can't be read ({damage})") from damage
    alone = np.concatenate([scorer.score(samples.matrix[n : n + 1]) for n in range(len(samples.matrix))])
    for found in (scorer.score(samples.matrix), alone):
        wrong = samples.differing(found)
        if wrong is not None:
            reason = (
                f"row {wrong} of {SAMPLES} scores {found[wrong]}, and {samples.scores[wrong]} when trained"
            )
            raise SelfTestFailed(bundle.model, bundle.version, reason)
    return samples


def refuse_slow(bundle: Bundle, scorer: RowScorer, samples: Samples, most_ms: float) -> None:
    """Raise ModelTooSlow when the model takes longer than that for a row, each of five times."""
    row, took = samples.matrix[:1], []
    for _ in range(_TIMES):
        started = time.perf_counter()
        scorer.score(row)
        took.append(1000 * (time.perf_counter() - started))
    if min(took) > most_ms:
        raise ModelTooSlow(bundle.model, bundle.version, min(took), most_ms)
