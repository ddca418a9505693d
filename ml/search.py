"""Parameters found by trying them, with Optuna: resumed from where it was killed, the same for the same seed.

What may be tried, and for how long, is declared (`ml.declared_search`); test rows are never seen here.
"""

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import canonical
from ml.calibration import held_back
from ml.contract import Contract
from ml.declaration import ModelDeclaration
from ml.declared_search import Range, Search
from ml.engines import ENGINES
from ml.engines.protocol import Parameter, Target, Watch
from ml.errors import EmptySplit
from ml.feature_definition import FeatureDefinition
from ml.labels import Labels, by_group, classes_of, labels_of, target_of
from ml.metrics import metric_of
from ml.scoring import encode
from ml.training import Found
from ml.training_set import TrainingSet

_NEVER_GIVEN_UP = 5  # trials that are never given up, as there is too little to compare them with


@dataclass(frozen=True)
class Progress:
    """Where a search stands after a trial, or before the first; `value` is None where it was given up."""

    n_done: int
    n_trials: int | None
    metric: str
    value: float | None
    best: float | None
    parameters: Mapping[str, Parameter]
    seconds: float

    def __str__(self) -> str:
        of = f" of {self.n_trials}" if self.n_trials else ""
        if self.best is None:
            return f"trial {self.n_done}{of}"
        came = "given up" if self.value is None else f"{self.metric} {self.value:.5f}"
        return f"trial {self.n_done}{of}: {came}, best {self.best:.5f}"


Told = Callable[[Progress], None]


@dataclass(frozen=True)
class _Rows:
    """The older training rows to fit on and the newer ones to judge by, encoded once for all trials."""

    model: ModelDeclaration
    plan: Search
    features: pa.Table
    target: Target
    categories: tuple[str, ...]
    newer: pa.Table
    labels: Labels


def search(
    training_set: TrainingSet,
    declaration: ModelDeclaration,
    definition: FeatureDefinition,
    studies: Path,
    *,
    threads: int = 0,
    told: Told = lambda _: None,
) -> Found:
    """Try what is declared until the budget is spent, and say which parameters were best.

    Studies are kept in the SQLite file `studies`, by everything that a trial depends on: a search that was
    killed goes on after its last whole trial, and one that was finished is only read. `told` hears of every
    trial. Raises EmptySplit when no rows are left on either side, and what training raises.
    """
    plan = declaration.search
    assert plan is not None  # noqa: S101 the caller asks because it is declared
    rows = _split(training_set, declaration, definition, plan)
    name = _name(training_set, declaration, plan)
    studies.parent.mkdir(parents=True, exist_ok=True)
    with _alone(studies.with_suffix(".lock")):
        study = _open(studies, name, declaration, plan)
        while not _is_spent(finished := _finished(study), plan):
            if not finished:
                told(Progress(0, plan.trials, plan.metric, None, None, {}, 0.0))
            _try_next(study, len(finished), rows, threads)
            told(_progress(study, plan))
        return _best(study, name, plan)


def _split(
    training_set: TrainingSet, declaration: ModelDeclaration, definition: FeatureDefinition, plan: Search
) -> _Rows:
    train, _ = held_back(declaration, training_set.train)  # what calibrates chooses no parameters
    days: list[date] = sorted(pc.unique(train["day"]).to_pylist())
    if len(days) <= plan.holdout_days:
        of = f"{len(days)} training days ({days[0]} to {days[-1]})"
        raise EmptySplit(declaration.name, "search", f"search.holdout_days {plan.holdout_days}", of)
    is_newer = pc.greater_equal(train["day"], pa.scalar(days[-plan.holdout_days], train["day"].type))
    older = by_group(declaration, train.filter(pc.invert(is_newer)))
    newer = train.filter(is_newer)
    classes = classes_of(declaration, older)
    labels = labels_of(declaration, older, "older training", classes)
    # A feature whose source began within the newer days is for the whole training to judge.
    features = declaration.features.model_copy(update={"may_be_missing": declaration.features.columns})
    lenient = declaration.model_copy(update={"features": features})
    contract = Contract.learn(lenient, definition, older, classes)
    return _Rows(
        model=declaration,
        plan=plan,
        features=encode(older, contract),
        target=target_of(declaration, labels, classes),
        categories=contract.categories,
        newer=encode(newer, contract),
        labels=labels_of(declaration, newer, "newer training", classes),
    )


def _name(training_set: TrainingSet, declaration: ModelDeclaration, plan: Search) -> str:
    """The model's name and a digest of all that decides how a trial comes out; the budget does not."""
    engine = declaration.engine
    parts = {"task", "features", "label", "engine", *(["calibration"] if declaration.calibration else [])}
    decides = {
        "rows": training_set.manifest.train.rows_sha256,
        "declaration": declaration.model_dump(mode="json", include=parts),
        "search": plan.model_dump(mode="json", exclude={"trials", "minutes"}),
        "versions": ENGINES[engine.name].versions(),
    }
    return f"{declaration.name}-{canonical.digest(canonical.dumps(decides))[:16]}"


def _open(studies: Path, name: str, declaration: ModelDeclaration, plan: Search) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    higher = metric_of(declaration.task, plan.metric).higher_is_better
    study = optuna.create_study(
        storage=f"sqlite:///{studies}",
        study_name=name,
        load_if_exists=True,
        direction="maximize" if higher else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_NEVER_GIVEN_UP) if plan.prune else _never(),
    )
    states = optuna.trial.TrialState
    for left in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(left.number, state=states.FAIL)  # of a process that was killed: tried again
    return study


def _never() -> Any:
    import optuna

    return optuna.pruners.NopPruner()


def _finished(study: Any) -> list[Any]:
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED)
    return list(study.get_trials(deepcopy=False, states=states))


def _is_spent(finished: list[Any], plan: Search) -> bool:
    seconds = sum(trial.duration.total_seconds() for trial in finished)
    has_trials = plan.trials is not None and len(finished) >= plan.trials
    has_minutes = plan.minutes is not None and bool(finished) and seconds >= plan.minutes * 60
    return has_trials or has_minutes


def _try_next(study: Any, n: int, rows: _Rows, threads: int) -> None:
    """The n-th trial: what it tries follows from the seed, n and the trials before, not from the process."""
    import optuna

    engine = rows.model.engine
    seed = np.random.SeedSequence([engine.seed, n]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(seed=int(seed))
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    if n == 0 and not waiting:
        study.enqueue_trial(_declared(rows))
    trial = study.ask()
    tried = {name: _suggest(trial, name, values, engine.name) for name, values in rows.plan.space.items()}
    measured = _Measured(trial, rows)
    try:
        ENGINES[engine.name].fit(
            rows.features,
            rows.target,
            categories=rows.categories,
            seed=engine.seed,
            parameters={**engine.parameters, **tried},
            threads=threads,
            watch=Watch(rows.newer, measured.step),
        )
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, measured.value)


class _Measured:
    """Judges a trial while it is fitted, and gives it up when it does worse than those before."""

    def __init__(self, trial: Any, rows: _Rows) -> None:
        self._trial = trial
        self._metric = metric_of(rows.model.task, rows.plan.metric)
        self._labels = rows.labels
        self.value = float("nan")

    def step(self, n_done: int, scores: NDArray[np.float64]) -> None:
        self.value = self._metric.compute(self._labels, scores)
        self._trial.report(self.value, n_done)
        if self._trial.should_prune():
            import optuna

            raise optuna.TrialPruned


def _declared(rows: _Rows) -> dict[str, Parameter]:
    """The declared parameters, as far as they may be tried: the first trial begins with them."""
    given, space = rows.model.engine.parameters, rows.plan.space
    return {name: given[name] for name in space if name in given and space[name].holds(given[name])}


def _suggest(trial: Any, name: str, values: Range, engine: str) -> Parameter:
    if values.choices is not None:
        chosen: Parameter = trial.suggest_categorical(name, list(values.choices))
        return chosen
    if ENGINES[engine].parameters[name] is int:
        whole: int = trial.suggest_int(
            name, values.low, values.high, step=int(values.step or 1), log=values.log
        )
        return whole
    real: float = trial.suggest_float(name, values.low, values.high, step=values.step, log=values.log)
    return real


def _progress(study: Any, plan: Search) -> Progress:
    finished = _finished(study)
    last, best = finished[-1], study.best_trial
    return Progress(
        n_done=len(finished),
        n_trials=plan.trials,
        metric=plan.metric,
        value=last.value if last.state.name == "COMPLETE" else None,
        best=best.value,
        parameters=dict(best.params),
        seconds=sum(trial.duration.total_seconds() for trial in finished),
    )


def _best(study: Any, name: str, plan: Search) -> Found:
    finished, best = _finished(study), study.best_trial
    return Found(
        study=name,
        parameters=dict(best.params),
        metric=plan.metric,
        value=best.value,
        n_trials=len(finished),
        n_pruned=sum(trial.state.name == "PRUNED" for trial in finished),
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process searches here: one that runs looks like one that was killed."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
