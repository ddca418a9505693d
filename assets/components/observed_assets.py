"""The assets that look at a model after its training: how good it still is, whether its features drift.

No maths and no I/O: each calls one step and shows its outcome.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.components.model_assets import Shown
from assets.components.observed_metadata import (
    check_of_drift,
    check_of_quality,
    of_batch,
    of_drift,
    of_live_quality,
    of_quality,
)
from assets.components.observed_steps import Looks
from assets.keys import ANSWERS
from assets.resources import Platform
from ml.errors import MadeByOtherEngine

_WAITS = {"waits": "there is no champion yet"}


def quality(looks: Looks, shown: Shown, tables: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """How good the champion still is; the retrain policy reads it."""
    holds = dg.AssetCheckSpec(
        "holds",
        asset=shown.key("quality"),
        description=(
            "Over the newest window of labelled days the champion is not surely worse than when it was "
            "judged by more than the retrain policy allows, and not surely worse than the baseline."
        ),
    )

    @dg.asset(**shown.of("quality", "python"), deps=tables, check_specs=[holds])
    def _quality(platform: Platform) -> Iterator[Any]:
        """What champion, newest candidate and baseline say of labelled days after their training.

        One value a day and model, the newest window with 95 % intervals, and the champion's slices there.
        """
        seen = looks.quality(platform)
        if seen is None:
            yield dg.MaterializeResult(value={}, metadata=_WAITS)  # else what follows would be skipped
            yield dg.AssetCheckResult(check_name=holds.name, passed=True, description="no champion yet")
            return
        yield dg.MaterializeResult(value={"edition": seen.what.edition}, metadata=of_quality(seen))
        yield check_of_quality(holds.name, looks.declaration, seen.what)

    return _quality


def drift(looks: Looks, shown: Shown, tables: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """Whether features are as the champion knew them; the retrain policy reads it."""
    bounds = dg.AssetCheckSpec(
        "bounds",
        asset=shown.key("drift"),
        description="Every feature, and the scores, are within the declared bounds beside the training rows.",
    )

    @dg.asset(**shown.of("drift", "duckdb"), deps=tables, check_specs=[bounds])
    def _drift(platform: Platform) -> Iterator[Any]:
        """The newest window of days beside the champion's training rows and beside the weeks before.

        By feature: PSI, Jensen-Shannon distance, shares missing and never seen, quantiles.
        """
        seen = looks.drift(platform)
        if seen is None:
            yield dg.MaterializeResult(value={}, metadata=_WAITS)  # else what follows would be skipped
            yield dg.AssetCheckResult(check_name=bounds.name, passed=True, description="no champion yet")
            return
        yield dg.MaterializeResult(value={"edition": seen.what.edition}, metadata=of_drift(seen))
        yield check_of_drift(bounds.name, seen.what)

    return _drift


def live_quality(looks: Looks, shown: Shown, tables: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """How good the endpoint's answers were, as outcomes come in; made after all else in a run."""

    @dg.asset(
        **shown.of("live_quality", "python"),
        deps=tables,
        output_required=False,
        op_tags={"dagster/priority": "-100"},
    )
    def _live_quality(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Any]:
        """Logged predictions beside the outcomes that came true since, by day and version."""
        made = looks.live_quality(platform)
        if made is None:
            yield dg.AssetObservation(context.asset_key, metadata={"waits": "no prediction is logged yet"})
            return
        yield dg.MaterializeResult(value={"edition": made.edition}, metadata=of_live_quality(made))

    return _live_quality


def answers(looks: Looks, shown: Shown) -> dg.AssetChecksDefinition:
    """Whether the endpoint told what the training path tells; made every night with the proofs."""

    @dg.asset_check(
        name=ANSWERS,
        asset=shown.key("endpoint"),
        description=(
            "Of the answers logged yesterday and today a sample is computed again: scores from the logged "
            "features, features by their SQL over the online tables as they were. All are equal to the bit."
        ),
    )
    def _answers(platform: Platform) -> dg.AssetCheckResult:
        found = looks.answers_again(platform)
        told = f"{found.n_answers:,} answers with {found.n_rows:,} rows computed again"
        if found.gone:
            told += f"; of {len(found.gone)} groups model or online tables are kept no more"
        return dg.AssetCheckResult(
            passed=not found.faults,
            description="; ".join(found.faults) or told,
            metadata={"answers": found.n_answers, "rows": found.n_rows, "kept no more": found.gone[:5]},
        )

    return _answers


def batch_predictions(looks: Looks, shown: Shown, tables: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """Those that can be asked about next; made after all else in a run, so that a new champion is asked."""

    @dg.asset(
        **shown.of("batch_predictions", "parquet"),
        deps=tables,
        output_required=False,
        op_tags={"dagster/priority": "-100"},
    )
    def _batch_predictions(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Any]:
        """What the champion says now of those asked about next; features and scores are the endpoint's."""
        try:
            made, waits = looks.predict_coming(platform), "there is no champion yet"
        except MadeByOtherEngine as refusal:  # until one is trained by the engine that is installed
            made, waits = None, str(refusal)
        if made is None:
            yield dg.AssetObservation(context.asset_key, metadata={"waits": waits})
            return
        yield dg.MaterializeResult(
            value={"path": str(made.path)},
            data_version=dg.DataVersion(f"{made.batch.version[:16]}-{made.batch.edition}"),
            metadata=of_batch(made),
        )

    return _batch_predictions
