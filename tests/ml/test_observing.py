"""A champion looked at after its training, over a real lake and ledger: quality, drift, decisions."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml import deciding, observing, promotion
from ml.baseline import fit_baseline
from ml.bundle import Bundle
from ml.evaluation import evaluate
from ml.gate import Decision, Reason
from ml.lake.published import PublishBatch, Published
from ml.ledger import Ledger
from ml.observing import BASELINE_FILE, Observed, keep, kept
from ml.registry import Registry
from ml.retrain import decide
from ml.scoring import Scorer
from ml.settings import Settings
from ml.training import train
from ml.training_set import TrainingSet, assemble
from tests.ml import parcels

RETRAIN = {
    "quality": {"max_drop": 0.02, "window_days": 5, "for_days": 2},
    "drift": {"min_share": 0.2, "for_days": 2},
    "cool_down_days": 3,
}
DRIFT = {"window_days": 3, "preceding_weeks": 1, "min_rows": 100}
DECLARED = parcels.declared(retrain=RETRAIN, drift=DRIFT)
LATER = parcels.N_DAYS  # the days that come after those of the training set


@dataclass
class World:
    """Parcels of `LATER` + 12 days, published as days go by; the champion knows the first `LATER`."""

    settings: Settings
    features: pa.Table
    labels: pa.Table

    @property
    def published(self) -> Published:
        return Published(self.settings)

    def publish(
        self, first: int, last: int, change: Callable[[pa.Table], pa.Table] = lambda rows: rows
    ) -> None:
        """Publish days as they are, or changed."""
        span = parcels.FIRST_DAY + timedelta(days=first), parcels.FIRST_DAY + timedelta(days=last)
        batches = {}
        for name, rows in (("parcel_features", change(self.features)), ("parcel_labels", self.labels)):
            days = rows["day"]
            within = pc.and_(
                pc.greater_equal(days, pa.scalar(span[0])), pc.less_equal(days, pa.scalar(span[1]))
            )
            batches[name] = PublishBatch(rows.filter(within), *span)
        self.published.publish(batches)

    def observed(self) -> Observed:
        found = Observed.now(self.settings, DECLARED)
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, champion: tuple[Bundle, TrainingSet]) -> World:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path / "home"))
    settings = Settings.from_env(tmp_path)
    features = parcels.features(LATER + 12)
    made = World(settings, features, parcels.labels(features))
    made.publish(0, LATER - 1)
    return made


@pytest.fixture(scope="module")
def champion() -> tuple[Bundle, TrainingSet]:
    features = parcels.features(LATER + 12)
    first = parcels.FIRST_DAY + timedelta(days=LATER)
    known = [
        rows.filter(pc.less(rows["day"], pa.scalar(first))) for rows in (features, parcels.labels(features))
    ]
    tables = parcels.Tables()
    tables.editions.append({"parcel_features": known[0], "parcel_labels": known[1]})
    rows = assemble(tables, DECLARED)
    return train(rows, DECLARED, parcels.definition(), threads=1), rows


def crown(world: World, champion: tuple[Bundle, TrainingSet]) -> None:
    bundle, rows = champion
    ledger, registry = Ledger(world.settings.ledger_url), Registry(world.settings.registry)
    plain = fit_baseline(rows, bundle)
    evaluation = evaluate(Scorer(bundle), rows.test, baseline=plain)
    files = {"evaluation.json": evaluation.to_json().encode(), BASELINE_FILE: plain.save().encode()}
    registry.put_evaluation(bundle.model, bundle.version, evaluation.id, files)
    decision = Decision(True, (Reason(True, "fine"),))
    promotion.settle(ledger, registry, bundle, evaluation, decision, actor="tests")


def test_there_is_nothing_to_look_at_before_a_champion(world: World) -> None:
    assert Observed.now(world.settings, DECLARED) is None


def test_quality_of_champion_and_baseline_is_by_day_and_scores_are_kept(
    world: World, champion: tuple[Bundle, TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    crown(world, champion)
    world.publish(LATER, LATER + 5)
    first = world.observed().quality()
    assert {one.role for one in first.by_day} == {"champion", "baseline"}
    assert len({one.first_day for one in first.by_day}) == 6
    values = {one.role: one.value for one in first.recent}
    assert values["champion"] is not None
    assert values["champion"] > 0.7
    assert [window.n_days for window in first.windows] == [5, 5]
    assert not any(first.fallen(window, 0.02) for window in first.windows)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("everything was scored before")

    monkeypatch.setattr(observing, "Scorer", refuse)
    assert world.observed().quality() == replace(first, edition=first.edition)


def test_a_day_whose_rows_change_is_scored_and_counted_anew(
    world: World, champion: tuple[Bundle, TrainingSet]
) -> None:
    crown(world, champion)
    world.publish(LATER, LATER + 5)
    before, drift = world.observed().quality(), world.observed().drift()

    def forgotten(rows: pa.Table) -> pa.Table:
        place = rows.schema.get_field_index("depot_delay_mean_3h_min")
        return rows.set_column(place, "depot_delay_mean_3h_min", pa.nulls(len(rows), pa.float64()))

    world.publish(LATER + 5, LATER + 5, forgotten)
    after, drifting = world.observed().quality(), world.observed().drift()
    of = {one.first_day: one.value for one in before.by_day if one.role == "champion"}
    now = {one.first_day: one.value for one in after.by_day if one.role == "champion"}
    assert [day for day in of if of[day] != now[day]] == [parcels.FIRST_DAY + timedelta(days=LATER + 5)]
    assert drift is not None
    assert drifting is not None
    missing = {one.name: one.missing_now for one in drifting.features.features}
    assert 0.3 < missing["depot_delay_mean_3h_min"] < 0.5


def shifted(rows: pa.Table) -> pa.Table:
    place = rows.schema.get_field_index("n_ahead")
    return rows.set_column(place, "n_ahead", pc.add(rows["n_ahead"], 500))


def test_fingerprints_are_kept_with_the_model_and_by_day(
    world: World, champion: tuple[Bundle, TrainingSet]
) -> None:
    crown(world, champion)
    bundle, rows = champion
    assert "fingerprint.json" in bundle.files
    observed = world.observed()
    assert observed.trained.n_rows == rows.manifest.train.n_rows
    bare = replace(
        observed, bundle=Bundle({k: v for k, v in bundle.files.items() if k != "fingerprint.json"})
    )
    counted = bare.trained.by_name["n_ahead"]  # of all rows of these days, also those not trained on
    assert counted.n_rows >= rows.manifest.train.n_rows
    world.publish(LATER, LATER + 3)
    found = world.observed().drift()
    assert found is not None
    assert found.features.drifting_share == 0
    (file,) = (observing.folder_of(world.settings, "late_parcel") / "fingerprints").glob("*.parquet")
    written = file.stat().st_mtime_ns
    assert world.observed().drift() == found
    assert file.stat().st_mtime_ns == written


def test_drift_that_goes_on_calls_for_one_retrain_and_is_noted_once_an_edition(
    world: World, champion: tuple[Bundle, TrainingSet]
) -> None:
    crown(world, champion)
    ledger, model = Ledger(world.settings.ledger_url), "late_parcel"
    until = promotion.trained_until(ledger, model)
    due = []
    for n in range(LATER, LATER + 10):
        world.publish(n, n, shifted if n >= LATER + 5 else lambda rows: rows)
        observed = world.observed()
        drift = observed.drift()
        assert drift is not None
        keep(world.settings, model, "drift.json", drift.to_json())
        keep(world.settings, model, "quality.json", observed.quality().to_json())
        labelled = world.published.days("parcel_labels", observed.edition)
        signals = deciding.signals(world.settings, DECLARED)
        decision = decide(DECLARED, labelled, until, signals)
        noted = [
            deciding.note(world.settings, model, decision, observed.edition.id, "tests") for _ in range(3)
        ]
        assert len({one.entry for one in noted}) == 1
        assert noted[0].details["drift"]["share"] == pytest.approx(drift.features.drifting_share, abs=1e-6)
        if decision.is_due:
            due.append(n)
            assert "n_ahead" in decision.reason
    assert due[0] in {LATER + 6, LATER + 7}
    entries = ledger.history(model, deciding.DECIDED)
    assert len(entries) == 10
    assert [one.details["is_due"] for one in entries].index(True) == due[0] - LATER


def test_what_was_seen_of_another_champion_says_nothing(
    world: World, champion: tuple[Bundle, TrainingSet]
) -> None:
    crown(world, champion)
    world.publish(LATER, LATER + 8, shifted)
    drift = world.observed().drift()
    assert drift is not None
    assert drift.features.drifting_share > 0.05
    keep(world.settings, "late_parcel", "drift.json", replace(drift, version="0" * 64).to_json())
    assert deciding.signals(world.settings, DECLARED).drift == ()
    keep(world.settings, "late_parcel", "drift.json", drift.to_json())
    (shown,) = deciding.signals(world.settings, DECLARED).drift
    assert shown.day == parcels.FIRST_DAY + timedelta(days=LATER + 8)
    assert kept(world.settings, "late_parcel")["drift"] == drift


def test_scores_have_their_own_drift(world: World, champion: tuple[Bundle, TrainingSet]) -> None:
    crown(world, champion)
    world.publish(LATER, LATER + 8, shifted)
    drift = world.observed().drift()
    assert drift is not None
    assert drift.scores is not None
    (score,) = drift.scores.features
    assert score.psi_training > score.limit_training
    assert np.isfinite(score.psi_training)
    assert isinstance(drift.scores.last_day, date)
