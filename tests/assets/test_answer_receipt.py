"""An answer walked down to the raw files, over a small project of real parts; what is damaged is named."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from assets.components.proof_checks import is_proof
from assets.keys import ANSWERS
from headwater.cli import main
from ml.answer_receipt import AnswerReceipt, Step, receipt_of
from ml.errors import AnswerIdMalformed, AnswerNotLogged
from ml.lake.published import Published
from ml.live_quality import LiveQuality, live_quality
from ml.online import OnlineStore
from ml.prediction_log.ids import AnswerId
from ml.prediction_log.record import Route
from ml.registry import Registry
from ml.sources import kept
from services.logged import Logged
from services.serving import Prediction, Serving
from tests.assets.meters import HOURS, MODEL, Meters, day
from tests.assets.test_rebuilding import GATE, N_DAYS, trained


@dataclass(frozen=True)
class World:
    """A champion of the small project, answering and logging as the endpoint does."""

    meters: Meters
    serving: Serving

    def asked(self) -> Prediction:
        """An answer to its own example."""
        return self.serving.predict(msgspec.json.encode(self.serving.example[0]))

    def logged(self, prediction: Prediction | None = None, route: Route = "predict") -> str:
        """The id of an answer that is in the log."""
        log = Logged(self.meters.settings.prediction_log, lambda gap: pytest.fail(str(gap)))
        answer_id = log.next_id()
        body = msgspec.json.encode(self.serving.example[0] if route == "predict" else {"instances": []})
        log.add(answer_id, route, self.serving, prediction or self.asked(), body)
        log.close()
        return answer_id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        meters = Meters(tmp_path_factory.mktemp("meters"), patch)
        meters.model = {**MODEL, "gate": GATE}
        (meters.settings.project / "requirements.lock").write_text("lightgbm==1\n")
        for n in range(N_DAYS):
            meters.land_readings(day(n))
        version, _ = trained(meters)
        published = Published(meters.settings)
        bundle = Registry(meters.settings.registry).get("high_reading", version)
        edition = published.edition()
        store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
        yield World(meters, Serving.assemble(bundle, store, 100, timedelta(days=7)))


@pytest.fixture
def world(made: World, tmp_path: Path) -> Iterator[World]:
    """The project, whose files are put back afterwards."""
    home = made.meters.settings.home
    shutil.copytree(home, tmp_path / "home", symlinks=True)
    yield made
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "home", home, symlinks=True)


def failed(receipt: AnswerReceipt) -> list[Step]:
    assert receipt.is_verified == (not any(step.verdict == "failed" for step in receipt.steps))
    return [step for step in receipt.steps if step.verdict == "failed"]


def test_every_step_of_an_answer_is_verified(world: World) -> None:
    receipt = receipt_of(world.meters.settings, world.logged())
    assert {step.verdict for step in receipt.steps} == {"verified"}
    assert [step.what for step in receipt.steps] == [
        "score", "features", "files behind the features", "model", "promotion", "feature SQL",
        "training rows", "training rows", "training SQL", "raw files",
    ]  # fmt: skip
    assert receipt.answer["scores"] == world.asked().scores
    assert receipt.answer["version"] == world.serving.bundle.version
    assert receipt.answer["edition"] == world.serving.store.edition_id


def test_the_command_tells_it_and_fails_when_a_step_does(world: World) -> None:
    answer_id = world.logged()
    told = CliRunner().invoke(main, ["receipt", answer_id, "--json"])
    assert (told.exit_code, json.loads(told.stdout)["is_verified"]) == (0, True)

    file = kept_reading(world)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes() + b"m1,5,2013-03-01T00:30:00Z\n")
    told = CliRunner().invoke(main, ["receipt", answer_id, "--json"])
    assert (told.exit_code, json.loads(told.stdout)["is_verified"]) == (1, False)


def test_features_given_by_the_caller_are_told_apart(world: World) -> None:
    given = world.serving.example_score[0]
    prediction = world.serving.score(msgspec.json.encode(given))
    receipt = receipt_of(world.meters.settings, world.logged(prediction, "score"))
    assert failed(receipt) == []
    (features,) = [step for step in receipt.steps if step.what == "features"]
    assert (features.verdict, features.name) == ("not checked", "given by the caller")


def test_a_score_that_is_another_is_named(world: World) -> None:
    prediction = world.asked()
    other = Prediction(
        prediction.body, prediction.names, prediction.rows, [one + 1e-9 for one in prediction.scores], {}
    )
    (step,) = failed(receipt_of(world.meters.settings, world.logged(other)))
    assert (step.what, "and computed again it is" in step.reason) == ("score", True)


def test_a_feature_that_is_another_is_named(world: World) -> None:
    prediction = world.asked()
    at = list(prediction.names).index("watts_sum_2d")
    rows = [[5 if n == at else value for n, value in enumerate(row)] for row in prediction.rows]
    other = Prediction(prediction.body, prediction.names, rows, prediction.scores, {})
    told = {step.what: step.reason for step in failed(receipt_of(world.meters.settings, world.logged(other)))}
    assert '"watts_sum_2d" was 5.0, and by its SQL' in told["features"]


def test_a_changed_raw_file_is_named(world: World) -> None:
    answer_id = world.logged()
    file = kept_reading(world)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b"m1", b"m2"))
    told = failed(receipt_of(world.meters.settings, answer_id))
    assert {step.what for step in told} == {"files behind the features", "raw files"}
    assert all("readings" in step.name for step in told)


def test_a_damaged_model_is_named(world: World) -> None:
    answer_id, version = world.logged(), world.serving.bundle.version
    folder = Path(world.meters.settings.registry.removeprefix("file://")) / "high_reading" / version
    trees = folder / "bundle" / "trees.txt"
    trees.chmod(0o644)
    trees.write_bytes(trees.read_bytes().replace(b"tree", b"tref", 1))
    (step,) = failed(receipt_of(world.meters.settings, answer_id))
    assert (step.what, step.name) == ("model", f"high_reading {version}")


def test_a_day_s_answers_are_computed_again_and_another_one_is_named(world: World) -> None:
    for _ in range(3):
        world.logged()
    world.logged(world.serving.score(msgspec.json.encode(world.serving.example_score[0])), "score")
    check = checked(world)
    assert (check.passed, check.metadata["answers"].value, check.metadata["rows"].value) == (True, 4, 4)
    prediction = world.asked()
    other = Prediction(
        prediction.body, prediction.names, prediction.rows, [one + 1e-9 for one in prediction.scores], {}
    )
    answer_id = world.logged(other)
    check = checked(world)
    assert not check.passed
    assert f"answer {answer_id}: it was" in str(check.description)


def test_outcomes_are_held_beside_what_was_predicted(world: World) -> None:
    declaration = world.serving.bundle.declaration
    assert live_quality(world.meters.settings, declaration) is None
    settings, example = world.meters.settings, world.serving.example[0]["instances"][0]
    published = Published(settings)
    labels = published.read("reading_labels", edition=published.edition()).to_pylist()
    outcomes = {one["reading_id"]: one["is_high"] for one in labels}
    told: dict[str, float] = {}
    for n in (2, 3, N_DAYS, 12):  # the last two have not landed: their outcomes are open
        rows = [
            {**example, "meter_id": meter, "read_at": f"{day(n)}T{hour:02}:00:00Z"}
            for meter in ("m1", "m2")
            for hour in HOURS
        ]
        prediction = world.serving.predict(msgspec.json.encode({"instances": rows}))
        for _ in range(2):  # asked twice, it counts once
            world.logged(prediction)
        told |= {one["reading_id"]: one["score"] for one in prediction.body["predictions"]}

    made = live_quality(settings, declaration)
    assert made is not None
    assert [(one.day, one.n_predicted, one.n_known) for one in made.by_day] == [
        (day(2), 24, 24), (day(3), 24, 24), (day(N_DAYS), 24, 0), (day(12), 24, 0),
    ]  # fmt: skip
    known = [key for key in told if key in outcomes]
    expected = roc_auc_score([outcomes[key] for key in known], [told[key] for key in known])
    (whole,) = made.in_all
    assert whole.value == pytest.approx(expected)
    assert (whole.n_predicted, whole.n_known, whole.version) == (96, 48, world.serving.bundle.version)
    assert whole.open_share == pytest.approx(1 / 2)
    assert whole.low is not None and whole.high is not None and whole.low <= expected <= whole.high
    assert LiveQuality.from_json(made.to_json()) == made


def checked(world: World) -> Any:
    """The check as the nightly job makes it."""
    graph = world.meters.definitions().resolve_asset_graph()
    (key,) = [key for key in graph.asset_check_keys if key.name == ANSWERS]
    assert is_proof(key)
    job = dg.define_asset_job("nightly", selection=dg.AssetSelection.checks(key))
    result = world.meters.job(job).execute_in_process(instance=world.meters.instance, raise_on_error=True)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_ids_that_name_nothing_are_told(world: World) -> None:
    given = AnswerId.parse(world.logged())
    with pytest.raises(AnswerNotLogged, match="this one was lost or never given"):
        receipt_of(world.meters.settings, f"{given.day:%Y%m%d}-{given.process}-0000ff")
    with pytest.raises(AnswerNotLogged, match="no process 00000000 logged answers on"):
        receipt_of(world.meters.settings, f"{given.day:%Y%m%d}-00000000-000001")
    with pytest.raises(AnswerIdMalformed):
        receipt_of(world.meters.settings, "yesterday's")


def kept_reading(world: World) -> Path:
    """The kept copy of a day that training and features read."""
    settings = world.meters.settings
    (version,) = kept.versions(settings, "readings", day(1))
    return kept.path_of(settings, "readings", version)
