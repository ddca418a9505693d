"""The assets of one model: what each is, what it hands on, and what it shows.

No maths and no I/O: each asset calls one step and shows its outcome.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import dagster as dg

from assets.components import model_metadata as metadata
from assets.components.model_asking import Gauntlet
from assets.components.model_steps import Steps
from assets.keys import BACKTEST_TAG, REFUSED, STALE_TAG, is_automated, model_key
from assets.resources import Platform
from ml.errors import MadeByOtherCode
from ml.gate import Decision
from ml.promotion import Outcome
from ml.replay import Replay
from ml.search import Progress

Value = dict[str, Any]


class Declared(Protocol):
    """What a model's declaration says about how it is presented."""

    name: str
    task: str
    description: str
    owners: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """What all assets of a model have in common in the UI."""

    declared: Declared
    ledger_kind: str

    def key(self, step: str) -> dg.AssetKey:
        return model_key(self.declared.name, step)

    def of(self, step: str, *kinds: str) -> dict[str, Any]:
        """Keyword arguments of one step's asset."""
        return {
            "key": self.key(step),
            "group_name": self.declared.name,
            "owners": list(self.declared.owners),
            "tags": {"model": self.declared.name, "task": self.declared.task},
            "kinds": set(kinds),
        }

    def takes(self, *steps: str) -> dict[str, dg.AssetIn]:
        """Inputs by the names of the steps that made them."""
        return {step: dg.AssetIn(self.key(step)) for step in steps}


def training_set(steps: Steps, shown: Shown, tables: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """The rows; where the run was not asked for by a person, only when the retrain policy says so."""

    @dg.asset(
        **shown.of("training_set", "iceberg"),
        deps=[*tables, shown.key("quality"), shown.key("drift")],
        output_required=False,
        code_version=steps.declaration.rows_code,
    )
    def _training_set(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Any]:
        """Which rows the model is trained and tested on: features with labels of one edition, split by time.

        A run that files asked for makes it only when the declared policy says that a retrain is due.
        """
        try:
            decision = steps.retrain_decision(platform)
            context.log.info(f"retrain policy: {decision.reason}")
            if is_automated(context):
                steps.note_decision(platform, decision)
            if is_automated(context) and not decision.is_due:
                observed = {"retrain": f"not due: {decision.reason}"}
                yield dg.AssetObservation(context.asset_key, metadata=observed)
                return
            origins = steps.assemble(platform)
        except MadeByOtherCode as refusal:
            if STALE_TAG not in context.run.tags:
                raise
            yield dg.AssetObservation(context.asset_key, metadata={"retrain": f"waits: {refusal}"})
            return
        yield dg.MaterializeResult(
            value=steps.as_value(origins),
            data_version=dg.DataVersion(origins.manifest.train.rows_sha256[:16]),
            metadata=metadata.of_training_set(origins.manifest) | {"retrain": decision.reason},
        )

    return _training_set


def candidate(steps: Steps, shown: Shown) -> dg.AssetsDefinition:
    """The trained model."""

    @dg.asset(
        **shown.of("candidate", steps.declaration.engine.name),
        ins=shown.takes("training_set"),
        code_version=steps.training_code,
    )
    def _candidate(
        context: dg.AssetExecutionContext, platform: Platform, training_set: Value
    ) -> dg.MaterializeResult:
        """A trained model, not promoted: a bundle of text files in the registry, named by its digest."""

        def told(progress: Progress) -> None:
            context.log.info(f"search: {progress}")
            context.log_event(metadata.observed(context.asset_key, progress))

        bundle = steps.train(platform, training_set, told)
        return dg.MaterializeResult(
            value={"version": bundle.version},
            data_version=dg.DataVersion(bundle.version[:16]),
            metadata=metadata.of_candidate(bundle, platform.registry().uri(bundle.model, bundle.version)),
        )

    return _candidate


def evaluation(steps: Steps, shown: Shown) -> dg.AssetsDefinition:
    """The judgement, with the gate as a check that blocks promotion."""
    gate = dg.AssetCheckSpec(
        "gate",
        asset=shown.key("evaluation"),
        blocking=True,
        description=(
            "The candidate reaches the declared floor, or else the run fails; and it holds against the "
            "champion on equal rows, or else the champion stays, which is a warning and no failure."
        ),
    )

    @dg.asset(
        **shown.of("evaluation", "python"),
        ins=shown.takes("training_set", "candidate"),
        check_specs=[gate],
        code_version=steps.declaration.gate_code,
    )
    def _evaluation(platform: Platform, training_set: Value, candidate: Value) -> Iterator[Any]:
        """How good the candidate is on days it has not seen, alone and beside the champion on equal rows."""
        judged = steps.evaluate(platform, training_set, candidate["version"])
        yield dg.MaterializeResult(value=judged.reference, metadata=metadata.of_evaluation(judged))
        yield dg.AssetCheckResult(
            check_name=gate.name,
            passed=judged.decision.promote,
            severity=_severity(judged.decision),
            description=judged.decision.text,
            metadata={f"rule {n}": reason.text for n, reason in enumerate(judged.decision.reasons, 1)},
        )

    return _evaluation


def champion(steps: Steps, shown: Shown) -> dg.AssetsDefinition:
    """The promotion: one transaction in the ledger."""

    parity = dg.AssetCheckSpec(
        "parity",
        asset=shown.key("champion"),
        blocking=True,
        description=(
            "Before a version is promoted its Bento is served and asked about past rows over HTTP: features, "
            "what the model is given of them, and scores equal the offline ones to the bit."
        ),
    )

    replay = dg.AssetCheckSpec(
        "replay",
        asset=shown.key("champion"),
        blocking=True,
        description=(
            "Before a version takes over, the last logged requests are asked of it and of the champion: "
            "decisions that flip, calibration, p99 of scoring and memory are within the declared budget."
        ),
    )

    @dg.asset(
        **shown.of("champion", shown.ledger_kind),
        ins=shown.takes("evaluation"),
        output_required=False,
        check_specs=[replay, parity],
    )
    def _champion(context: dg.AssetExecutionContext, platform: Platform, evaluation: Value) -> Iterator[Any]:
        """The promoted version: the one that the endpoint answers with, by the ledger and nothing else."""
        outcome, asked = steps.settle(platform, evaluation)
        yield _of_replay(replay.name, asked.replay)
        yield _of_parity(parity.name, outcome, asked)
        if outcome.kind == "refused":
            shown_outcome = {REFUSED: outcome.text} | metadata.of_outcome(outcome)
            yield dg.AssetObservation(context.asset_key, metadata=shown_outcome)
            return
        yield dg.MaterializeResult(
            value={"version": outcome.champion},
            data_version=dg.DataVersion(str(outcome.champion)[:16]),
            metadata=metadata.of_outcome(outcome),
        )

    return _champion


def bento(steps: Steps, shown: Shown) -> dg.AssetsDefinition:
    """The package of the endpoint."""

    @dg.asset(**shown.of("bento", "bentoml"), ins=shown.takes("champion"))
    def _bento(platform: Platform, champion: Value) -> dg.MaterializeResult:
        """The endpoint as a package, the champion inside: what `bentoml serve` and `containerize` take."""
        packed = steps.pack(platform, champion["version"])
        return dg.MaterializeResult(
            value={"tag": packed.tag},
            data_version=dg.DataVersion(packed.tag),
            metadata={"tag": packed.tag, "path": dg.MetadataValue.path(str(packed.path))},
        )

    return _bento


def _of_replay(name: str, replay: Replay | None) -> dg.AssetCheckResult:
    """A candidate beyond its budget is no failure of the run: the champion stays."""
    if replay is None:
        told = "nothing takes over from a champion"
        return dg.AssetCheckResult(check_name=name, passed=True, description=told)
    numbers = {
        "rows": replay.n_rows,
        "p99_ms": replay.p99_ms,
        "champion_p99_ms": replay.champion_p99_ms,
        "memory_mb": replay.memory_mb,
        "champion_memory_mb": replay.champion_memory_mb,
    }
    numbers |= {} if replay.flipped is None else {"flipped": replay.flipped}
    numbers |= {} if replay.calibration_gap is None else {"calibration_gap": replay.calibration_gap}
    return dg.AssetCheckResult(
        check_name=name,
        passed=replay.is_within,
        severity=dg.AssetCheckSeverity.WARN,
        description=replay.text,
        metadata=numbers,
    )


def _of_parity(name: str, outcome: Outcome, asked: Gauntlet) -> dg.AssetCheckResult:
    """Of a version that is not asked the champion stays, which was asked when it was promoted."""
    proven = asked.parity
    if proven is None:
        champion = outcome.champion and outcome.champion[:12]
        told = f"nothing is promoted; {f'{champion} was asked when it was' if champion else 'no champion'}"
        return dg.AssetCheckResult(check_name=name, passed=True, description=told)
    return dg.AssetCheckResult(
        check_name=name,
        passed=proven.is_proven,
        description=proven.text,
        metadata={"requests": proven.n_requests, **{fault.column: str(fault) for fault in proven.faults}},
    )


def _severity(decision: Decision) -> dg.AssetCheckSeverity:
    """Below the floor something is wrong; to prove no better than the champion is what most retrains do."""
    return dg.AssetCheckSeverity.WARN if decision.is_fit else dg.AssetCheckSeverity.ERROR


def backtest(steps: Steps, shown: Shown, tables: list[dg.AssetKey]) -> dg.AssetsDefinition:
    """Folds over past periods; no run of landed files makes it."""
    settings = shown.of("backtest", steps.declaration.engine.name)
    settings["tags"] |= {BACKTEST_TAG: "true"}

    @dg.asset(**settings, deps=tables, code_version=steps.backtest_code)
    def _backtest(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
        """How the declaration would have done: trained before each past period, tested on it.

        Made every week by the job `backtests`, or on demand; what serves is not touched.
        """
        made = steps.backtest(platform, lambda fold: context.log.info(str(fold)))
        return dg.MaterializeResult(value={"code": made.backtest.code}, metadata=metadata.of_backtest(made))

    return _backtest


def endpoint(shown: Shown) -> dg.AssetSpec:
    """The live service, which no run makes: it follows the ledger by itself."""
    return dg.AssetSpec(
        **shown.of("endpoint", "bentoml"),
        deps=[shown.key("bento"), shown.key("champion")],
        description="The live HTTP endpoint. It follows the ledger: a promotion answers within a second.",
    )
