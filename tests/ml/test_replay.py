"""The last requests asked of a candidate and its champion: what may change is declared."""

import re
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ml.bundle import Bundle
from ml.declared_replay import ReplayPlan
from ml.errors import ReplayFailed
from ml.gate import Decision, Reason, with_replay
from ml.lake.published import PublishBatch, Published
from ml.online_plan.kinds import Kind
from ml.prediction_log.record import Answered, Shape
from ml.prediction_log.writing import PredictionLog
from ml.replay import Asked, Replay, asked, beside_answers, replay
from ml.replay_answers import OnAnswers, on_answers
from ml.settings import Settings
from ml.training import train
from ml.training_set import TrainingSet
from tests.ml import parcels

PARAMETERS: dict[str, Any] = parcels.DECLARED["engine"]["parameters"]


def trained(training_set: TrainingSet, **parameters: Any) -> Bundle:
    engine = {**parcels.DECLARED["engine"], "parameters": {**PARAMETERS, **parameters}}
    return train(training_set, parcels.declared(engine=engine), parcels.definition(), threads=1)


@pytest.fixture(scope="module")
def champion(training_set: TrainingSet) -> Bundle:
    return trained(training_set, num_iterations=150)


@pytest.fixture(scope="module")
def given(training_set: TrainingSet) -> Asked:
    rows = training_set.test.slice(0, 1000)
    return Asked(rows, rows["is_late"].combine_chunks(), "logged requests")


def test_a_model_like_the_champion_is_within_the_budget(
    champion: Bundle, training_set: TrainingSet, given: Asked
) -> None:
    other = trained(training_set, num_iterations=150, learning_rate=0.08)
    found = replay(champion, other, given, ReplayPlan())
    assert found.is_within, found.text
    assert found.n_rows == 1000
    assert found.flipped is not None
    assert 0 < found.flipped < 0.2
    assert found.calibration_gap is not None
    assert found.calibration_gap < 0.05
    assert 0 < found.p99_ms < 5
    assert "1,000 logged requests asked again" in found.text


def test_a_candidate_that_takes_twice_as_long_is_refused(
    champion: Bundle, training_set: TrainingSet, given: Asked
) -> None:
    slow = trained(training_set, num_iterations=600, learning_rate=0.025)
    found = replay(champion, slow, given, ReplayPlan())
    assert re.search(r"scoring takes \d\.\d times as long as the champion", found.text)
    assert replay(champion, slow, given, ReplayPlan(max_slowdown=20)).is_within


def test_a_declared_time_counts_whatever_the_champion_takes(champion: Bundle, given: Asked) -> None:
    found = replay(champion, champion, given, ReplayPlan(max_p99_ms=1e-6))
    assert "ms at p99, more than the declared 1e-06" in found.text
    assert found.flipped == 0


def test_swapped_classes_are_refused(champion: Bundle, training_set: TrainingSet, given: Asked) -> None:
    place = training_set.train.schema.get_field_index("is_late")
    swapped = training_set.train.set_column(place, "is_late", pc.invert(training_set.train["is_late"]))
    turned = trained(TrainingSet(swapped, training_set.test, training_set.manifest), num_iterations=150)
    found = replay(champion, turned, given, ReplayPlan())
    assert "of the decisions on the last requests are other ones" in found.text
    assert "the mean score is off by" in found.text


def test_nan_for_a_rare_row_is_refused_with_the_row(champion: Bundle, given: Asked) -> None:
    def poisoned(match: re.Match[str]) -> str:
        first, *others = match.group(1).split()
        return "leaf_value=" + " ".join(["nan", *others]) + "0" * (len(first) - 3)  # of the same length

    text = re.sub(r"leaf_value=(.*)", poisoned, champion.fitted, count=1)
    broken = Bundle({**champion.files, "trees.txt": text.encode()})
    found = replay(champion, broken, given, ReplayPlan())
    assert re.search(r"\d+ of 1000 rows get no finite score: the first is .*depot_id", found.text)


def test_decisions_that_are_surely_better_may_all_be_other_ones(
    champion: Bundle, training_set: TrainingSet, given: Asked
) -> None:
    place = training_set.train.schema.get_field_index("is_late")
    swapped = training_set.train.set_column(place, "is_late", pc.invert(training_set.train["is_late"]))
    turned = trained(TrainingSet(swapped, training_set.test, training_set.manifest), num_iterations=150)
    found = replay(turned, champion, given, ReplayPlan())
    assert found.flipped is not None
    assert found.flipped > 0.5
    assert found.is_within, found.text
    unknown = Asked(given.rows, pa.nulls(len(given.labels), pa.bool_()), given.source)
    assert "nothing shows that they are better" in replay(turned, champion, unknown, ReplayPlan()).text


def test_a_model_many_times_as_large_is_refused(
    champion: Bundle, training_set: TrainingSet, given: Asked
) -> None:
    large = trained(training_set, num_iterations=4000, num_leaves=63, min_data_in_leaf=2, learning_rate=0.001)
    found = replay(
        champion, large, given, ReplayPlan(max_slowdown=1000, max_flipped=1, max_calibration_gap=1)
    )
    assert "MB of memory, the champion" in found.text


def test_a_model_that_ends_the_process_fails_with_what_it_said(champion: Bundle, given: Asked) -> None:
    text = champion.fitted.replace("num_leaves=15", "num_leaves=9", 1)
    with pytest.raises(ReplayFailed, match="can't be asked about past requests"):
        replay(champion, Bundle({**champion.files, "trees.txt": text.encode()}), given, ReplayPlan())


def test_without_requests_the_newest_rows_stand_for_them(
    tmp_path: Path, champion: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    settings = Settings.from_env(tmp_path)
    features = parcels.features()
    published = Published(settings)
    span = (parcels.FIRST_DAY, max(features["day"].to_pylist()))
    published.publish(
        {
            "parcel_features": PublishBatch(features, *span),
            "parcel_labels": PublishBatch(parcels.labels(features), *span),
        }
    )
    found = asked(settings, champion, champion, 500)
    assert found is not None
    assert found.rows.num_rows == 500
    assert found.source.startswith("rows of the newest week")
    assert found.n_days in (7, 8)
    assert found.labels.null_count < 200
    assert replay(champion, champion, found, ReplayPlan()).is_within


def test_what_is_worse_on_real_answers_is_refused_whatever_it_is_offline() -> None:
    within = Replay(1000, "logged requests", 0.1, None, 0.1, 0.1, 5, 5, ())
    answers = OnAnswers("roc_auc", 31_000, 0.647, 0.6586, 0.0116)
    found = beside_answers(within, answers, ReplayPlan())
    assert found.text == (
        "roc_auc is 0.6470 on 31,000 answers whose outcome is known, with their features as they were, the "
        "champion's 0.6586: worse by 1.8%, more than the declared 0.5%"
    )
    assert beside_answers(within, answers, ReplayPlan(max_worse=0.02)).is_within
    assert beside_answers(within, None, ReplayPlan()).is_within
    better = OnAnswers("rmse", 2000, 3.4, 3.5, -0.1)
    assert (
        "rmse 3.4000 on 2,000 answers (champion 3.5000)" in beside_answers(within, better, ReplayPlan()).text
    )


def logged(folder: Path, rows: pa.Table) -> None:
    """Answers about rows of features, as the endpoint logs them."""
    log = PredictionLog(folder)
    names = tuple(rows.column_names)
    kinds: dict[str, Kind] = {"parcel_id": "text", "prediction_at": "timestamp", "depot_id": "text"}
    kinds |= {"n_ahead": "integer", "is_express": "boolean"}
    of = tuple(kinds.get(name, "real") for name in names)
    features = tuple(n for n, name in enumerate(names) if n > 1)
    key = ("late_parcel", "f" * 64, "predict")
    number = log.shape(key, lambda one: Shape(one, *key, names, of, features, ()))
    values = [list(row.values()) for row in rows.to_pylist()]
    for row in values:
        row[1] = int(row[1].replace(tzinfo=UTC).timestamp() * 1e6)
        row[:] = [float(one) if isinstance(one, Decimal) else one for one in row]
    for n in range(0, len(values), 500):
        some = values[n : n + 500]
        log.append(Answered(log.next_id(), 1, number, 1, 1, b"{}", some, [0.5] * len(some), (1, 1, 1)))
    log.close()


def test_answers_are_judged_with_the_features_they_were_given_with(
    tmp_path: Path, champion: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_HOME", str(tmp_path))
    settings = Settings.from_env(tmp_path)
    features = parcels.features()
    labels = parcels.labels(features)
    span = (parcels.FIRST_DAY, max(features["day"].to_pylist()))
    Published(settings).publish({"parcel_labels": PublishBatch(labels, *span)})
    assert on_answers(settings, champion, champion) is None
    names = ["parcel_id", "prediction_at", *parcels.DECLARED["features"]["columns"]]
    place = names.index("depot_delay_mean_3h_min")
    stale = features.select(names).set_column(
        place, "depot_delay_mean_3h_min", pa.nulls(features.num_rows, pa.float64())
    )
    logged(settings.prediction_log, stale)
    found = on_answers(settings, champion, champion)
    assert found is not None
    after = sum(
        day > date.fromisoformat(champion.receipt["rows"]["last_day"]) for day in features["day"].to_pylist()
    )
    assert 0.9 * after < found.n_rows <= after
    assert found.share == 0
    assert found.candidate < 0.7  # with fresh features it is above 0.75


def test_the_gate_tells_what_the_replay_found() -> None:
    decision = Decision(True, (Reason(True, "fine"),))
    kept = Replay(1000, "logged requests", 0.1, None, 0.1, 0.1, 5, 5, ())
    assert with_replay(decision, kept).promote
    refused = with_replay(
        decision, Replay(1000, "logged requests", 0.6, None, 0.1, 0.1, 5, 5, ("60 % flip",))
    )
    assert not refused.promote
    assert refused.text == "replay of the last requests: 60 % flip"
