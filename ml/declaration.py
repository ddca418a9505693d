"""What a model is, declared once: entity, features, label, split, engine, gate and when to retrain.

Nothing is trained or read here; whether the named columns exist is checked against a feature definition.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from ml import canonical
from ml.declared import Declared, Name, one_of, parameter_problems
from ml.declared_backtest import BacktestPlan
from ml.declared_calibration import Calibration
from ml.declared_drift import DriftPlan
from ml.declared_gate import AgainstChampion, Gate
from ml.declared_parity import ParityPlan
from ml.declared_replay import ReplayPlan
from ml.declared_retrain import Budget, DriftTrigger, QualityTrigger, Retrain
from ml.declared_search import Range, Search
from ml.engines import ENGINES
from ml.engines.protocol import Parameter
from ml.errors import DeclarationRefused, Problem, nearest
from ml.metrics import METRICS
from ml.paired import MIN_BLOCKS

TASKS = tuple(METRICS)


Task = Annotated[str, one_of(TASKS, "task"), Field(json_schema_extra={"enum": list(TASKS)})]
EngineName = Annotated[str, one_of(ENGINES, "engine"), Field(json_schema_extra={"enum": sorted(ENGINES)})]


class Features(Declared):
    """The feature table and its columns that the model uses, in this order.

    A column without any value in the training rows is refused, but for those in `may_be_missing`. An endpoint
    whose newest fact is more than `max_age_hours` old says that it is not ready.
    """

    table: Name
    columns: tuple[Name, ...] = Field(min_length=1)
    may_be_missing: tuple[Name, ...] = ()
    max_age_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise ValueError(f"columns named more than once: {', '.join(map(repr, twice))}")
        for name in self.may_be_missing:
            if name not in self.columns:
                raise ValueError(f"may_be_missing names {name!r}. {nearest(name, self.columns)}")
        return self


class Label(Declared):
    """The label table and column; training uses only rows where `train_only_where` (a boolean) is true.

    Rows with the same value in column `group` are ranked against each other (task ranking).
    """

    table: Name
    column: Name
    train_only_where: Name | None = None
    group: Name | None = None


class Split(Declared):
    """Which labelled days are trained on and which tested on, always in this order of time.

    Either the newest `holdout_days` labelled days are tested on and all before them trained on, or the
    days are given (inclusive).
    """

    holdout_days: int | None = Field(default=None, ge=1)
    train_from: date | None = None
    train_until: date | None = None
    test_from: date | None = None
    test_until: date | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        explicit = (self.train_until, self.test_from)
        if self.holdout_days is not None:
            if any(explicit) or self.test_until:
                raise ValueError("give either holdout_days, or train_until and test_from, not both")
            return self
        if not all(explicit):
            raise ValueError("give holdout_days, or both train_until and test_from")
        days = [day for day in (self.train_from, *explicit, self.test_until) if day]
        if days != sorted(days) or self.train_until == self.test_from:
            raise ValueError(f"days overlap or run backwards: {' … '.join(map(str, days))}")
        return self


class EngineChoice(Declared):
    """The engine, its seed and its parameters by the engine's own names."""

    name: EngineName
    seed: int = Field(default=0, ge=0, lt=2**31)
    parameters: dict[str, Parameter] = Field(default_factory=dict)


class Slices(Declared):
    """Feature columns by whose values an evaluation is told apart too, where `min_rows` rows have one."""

    columns: tuple[Name, ...] = Field(min_length=1)
    min_rows: int = Field(default=200, ge=1)


class Costs(Declared):
    """What it costs to act on a row in vain, and not to act where it was needed, in one unit."""

    false_positive: float = Field(default=1.0, ge=0)
    false_negative: float = Field(default=1.0, ge=0)


class ModelDeclaration(Declared):
    """One model; the instance of a component, or the `declaration.json` of a bundle."""

    name: Name
    entity: Name
    task: Task
    features: Features
    label: Label
    split: Split
    engine: EngineChoice
    search: Search | None = None
    calibration: Calibration | None = None
    gate: Gate
    retrain: Retrain
    slices: Slices | None = None
    costs: Costs = Costs()
    backtest: BacktestPlan | None = None
    parity: ParityPlan = ParityPlan()
    drift: DriftPlan = DriftPlan()

    def _contradictions(self) -> Iterator[Problem]:
        """What does not fit together of parts that are right by themselves."""
        engine = self.engine.name
        if self.task not in ENGINES[engine].tasks:
            yield Problem("engine.name", engine, f"engine {engine!r} has no task {self.task!r}")
        named = {f"gate.floor.{name}": name for name in self.gate.floor}
        named["gate.against_champion.metric"] = self.gate.against_champion.metric
        if self.search:
            named["search.metric"] = self.search.metric
        for field, name in named.items():
            if name not in METRICS[self.task]:
                told = f"{name!r} is no metric of task {self.task!r}. {nearest(name, METRICS[self.task])}"
                yield Problem(field, None, told)
        if (self.task == "ranking") is (self.label.group is None):
            told = "is given for task 'ranking', which needs it, and for no other"
            yield Problem("label.group", self.label.group, told)
        yield from parameter_problems(
            "engine.parameters", engine, {name: [value] for name, value in self.engine.parameters.items()}
        )
        yield from self.search.problems(engine) if self.search else ()
        yield from self.calibration.problems(self.task) if self.calibration else ()
        yield from self.backtest.problems() if self.backtest else ()
        for name in self.parity.tolerances:
            if name not in (*self.features.columns, "score"):
                known = (*self.features.columns, "score")
                yield Problem(f"parity.tolerances.{name}", None, f"no such column. {nearest(name, known)}")
        own = {self.key, "prediction_at", "day", self.label.column, self.label.group}
        for i, name in enumerate(self.features.columns):
            if name in own:
                yield Problem(f"features.columns[{i}]", name, "no feature, but key, time or label")
        for i, name in enumerate(self.slices.columns if self.slices else ()):
            if name not in self.features.columns:
                yield Problem(f"slices.columns[{i}]", name, nearest(name, self.features.columns))
        held_out, rule = self.split.holdout_days, self.gate.against_champion.rule
        if rule == "better" and held_out is not None and held_out < MIN_BLOCKS:
            told = (
                "leaves too few days for the paired test of gate.against_champion: "
                f"at least {MIN_BLOCKS}, or rule: not_worse"
            )
            yield Problem("split.holdout_days", held_out, told)

    @property
    def key(self) -> str:
        """The column that names one entity."""
        return f"{self.entity}_id"

    @property
    def rows_code(self) -> str:
        """A digest of what decides which rows there are to train and test on."""
        return self._digest("entity", "features", "label", "split")

    @property
    def training_code(self) -> str:
        """A digest of what training reads: another gate or retrain policy is the same model."""
        also = ("calibration",) if self.calibration else ()
        return self._digest("name", "entity", "task", "features", "label", "split", "engine", "search", *also)

    @property
    def gate_code(self) -> str:
        """A digest of what a candidate is judged by, and of how it is told."""
        return self._digest("task", "gate", "slices", "costs")

    def _digest(self, *parts: str) -> str:
        return canonical.digest(canonical.dumps(self.model_dump(mode="json", include=set(parts))))[:16]

    @classmethod
    def parse(cls, declared: Mapping[str, Any], where: str = "") -> Self:
        """Check a declaration read from YAML or JSON; `where` is its file, if it has one.

        Raises DeclarationRefused with every problem found and the line it is on.
        """
        try:
            model = cls.model_validate(declared)
            problems = tuple(model._contradictions())
        except ValidationError as invalid:
            problems = tuple(_problem(dict(error), cls) for error in invalid.errors())
        if problems:
            raise DeclarationRefused(str(declared.get("name", "without a name")), problems, where)
        return model

    def validate_against(
        self, features: Sequence[str], labels: Sequence[str] | None = None, where: str = ""
    ) -> None:
        """Check every column named against those of the feature table, and of the label table if given.

        Raises DeclarationRefused with line, field, value and the nearest columns that exist.
        """
        wanted = [(f"features.columns[{i}]", name, features) for i, name in enumerate(self.features.columns)]
        if labels is not None:
            wanted.append(("label.column", self.label.column, labels))
        for field in ("train_only_where", "group"):
            name = getattr(self.label, field)
            if labels is not None and name:
                wanted.append((f"label.{field}", name, labels))
        problems = tuple(
            Problem(field, name, f"no such column. {nearest(name, present)}")
            for field, name, present in wanted
            if name not in present
        )
        if problems:
            raise DeclarationRefused(self.name, problems, where)


_PARTS: Mapping[tuple[str, ...], type[Declared]] = {
    ("features",): Features,
    ("label",): Label,
    ("split",): Split,
    ("engine",): EngineChoice,
    ("gate",): Gate,
    ("gate", "against_champion"): AgainstChampion,
    ("gate", "replay"): ReplayPlan,
    ("search",): Search,
    ("calibration",): Calibration,
    ("retrain",): Retrain,
    ("retrain", "quality"): QualityTrigger,
    ("retrain", "drift"): DriftTrigger,
    ("retrain", "budget"): Budget,
    ("drift",): DriftPlan,
    ("slices",): Slices,
    ("costs",): Costs,
    ("backtest",): BacktestPlan,
    ("parity",): ParityPlan,
}


def _problem(error: Mapping[str, Any], whole: type[Declared]) -> Problem:
    place = tuple(str(step) for step in error["loc"])
    field = ".".join(step for step in place if step != "[key]") or "declaration"
    part = Range if place[:2] == ("search", "space") else {**_PARTS, (): whole}.get(place[:-1])
    if error["type"] == "extra_forbidden" and part:
        return Problem(field, None, f"unknown field. {nearest(place[-1], part.model_fields)}")
    if error["type"] == "missing":
        return Problem(field, None, "must be given")
    message = str(error["msg"]).removeprefix("Value error, ")
    value = error["input"]
    return Problem(field, None if isinstance(value, (Mapping, Declared)) else value, message)
