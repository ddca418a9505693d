"""How assets are named: the folder of the graph, then the name.

Nothing here makes an asset.
"""

import dagster as dg


def landing_key(source: str) -> dg.AssetKey:
    """Files as they arrive, outside Dagster."""
    return dg.AssetKey(["landing", source])


def raw_key(source: str) -> dg.AssetKey:
    """Rows of one source, as taken in."""
    return dg.AssetKey(["raw", source])


def source_of(view: str) -> str:
    """The source whose rows a view of the raw layer shows; any other name as it is."""
    return view.removesuffix("_versions").removesuffix("_current")


def table_key(layer: str, table: str) -> dg.AssetKey:
    """A table of the dbt project; the layer is its folder under models/."""
    return dg.AssetKey([layer, table])


def model_key(model: str, step: str) -> dg.AssetKey:
    """What exists after one step of a model, from `training_set` to `endpoint`."""
    return dg.AssetKey([model, step])


# On a run that landed files asked for, with the digest of those files; a person's run has no such tag.
FILES_TAG = "headwater/files"


# On a run of days whose tables are stale; there may be others, which another run computes.
STALE_TAG = "headwater/stale"


# On an observation of a candidate whose parameters are searched: trials done, and to be done.
SEARCHED = "trials"
SEARCH_TRIALS = "trials_in_all"


# On an observation of a champion that stays: why the candidate was refused.
REFUSED = "refused"


# The check of an endpoint that computes logged answers again, every night.
ANSWERS = "answers"


# On an asset that no landed file asks for: it is made every week, or when a person asks.
BACKTEST_TAG = "backtest"


# On raw rows whose files are written from the prediction log in each run of their days.
PREDICTIONS_TAG = "predictions"


def is_automated(context: dg.AssetExecutionContext) -> bool:
    """Whether files asked for this run, so that policies hold, and not a person, who means what he asks."""
    return FILES_TAG in context.run.tags
