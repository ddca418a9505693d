"""`headwater backtest`: how would a model's declaration have done over past months or weeks?

How that is found is `ml.backtest`'s; it runs as the asset that the weekly job makes.
"""

from headwater.console import Voice
from headwater.errors import NothingToBacktest
from headwater.instance import make_instance
from headwater.run import Graph
from ml import canonical
from ml.backtest import Backtest
from ml.metrics import first_metric
from ml.registry import Registry
from ml.settings import Settings


def run_backtests(model: str | None, *, as_json: bool) -> None:
    """Run the declared folds of one model, or of all that declare any, and tell what came of each.

    Raises:
        NothingToBacktest: no model of that name declares a backtest.
        RunFailed: there are no rows yet, or training failed.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    make_instance(settings)
    with voice.step("load the asset graph"):
        graph = Graph()
    known = graph.backtested()
    if not known or (model and model not in known):
        raise NothingToBacktest(model=model, known=known)
    for name in [model] if model else known:
        with voice.step(f"backtest {name}") as note:
            code = graph.run_backtest(name)
            kept = Registry(settings.registry).get_backtest(name, code)
            over = Backtest.from_json(kept or b"")
            note.text = f"{len(over.measured)} of {len(over.folds)} folds"
        voice.facts[name] = canonical.plain(over)
        voice.table(
            f"{name}, {first_metric(over.task).title}", [_row(over, n) for n in range(len(over.folds))]
        )
    voice.finish()


def _row(over: Backtest, place: int) -> tuple[str, str]:
    fold, metric = over.folds[place], first_metric(over.task).name
    outcome = fold.outcome
    if isinstance(outcome, str):
        return fold.name, outcome
    sure = outcome.intervals.get(metric)
    between = f" ({sure.low:.4f} to {sure.high:.4f})" if sure else ""
    told = f"{outcome.metrics[metric]:.4f}{between}, {over.baseline} {outcome.baseline[metric]:.4f}"
    return fold.name, f"{told}; {outcome.n_rows:,} rows"
