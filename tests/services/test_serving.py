"""One model over one edition: what it answers, what it warns of, what it refuses."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from ml.bundle import Bundle
from ml.engines import ENGINES
from ml.errors import HeadwaterError, SelfTestFailed
from ml.lake.editions import Edition
from ml.online import OnlineStore
from ml.scoring import Scorer
from services.features import Asked
from services.openapi import document
from services.problems import Kind, RequestRefused
from services.serving import Serving
from tests.services import toy

EDITION = Edition(1, datetime(2024, 3, 6), {"int_zone_speed": 7})


def store(speeds: pa.Table) -> OnlineStore:
    """The toy's online table."""
    return OnlineStore({"int_zone_speed": speeds}, EDITION)


@pytest.fixture(scope="module")
def serving(bundles: Mapping[str, Bundle]) -> Serving:
    """The first version over five days."""
    return Serving.assemble(bundles["first"], store(toy.zone_speed()), 1000, timedelta(days=7))


def ask(serving: Serving, *instances: Mapping[str, object]) -> dict[str, Any]:
    """The answer as a caller reads it."""
    body = serving.predict(msgspec.json.encode({"instances": instances})).body
    answer: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    return answer


def refusal(serving: Serving, *instances: Mapping[str, object]) -> RequestRefused:
    """The refusal a caller reads."""
    with pytest.raises(RequestRefused) as caught:
        ask(serving, *instances)
    return caught.value


def test_the_score_is_that_of_the_offline_path(serving: Serving) -> None:
    (told,) = ask(serving, toy.instance())["predictions"]
    features = pa.table(
        {"zone_id": ["centre"], "passengers": [2], "starts_hour": [12], "speed_mean_kmh": [31.0]}
    )
    assert told == {
        "trip_id": "d1-20240305T1200Z",
        "prediction_at": "2024-03-05T11:00:00Z",
        "score": Scorer(serving.bundle).score(features)[0],
    }


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_calibrated_score_is_that_of_the_offline_path_to_the_bit(task: str, method: str) -> None:
    bundle = toy.bundle(task=task, calibration=method)
    serving = Serving.assemble(bundle, store(toy.zone_speed()), 1000, timedelta(days=7))
    features = pa.table(
        {"zone_id": ["centre"], "passengers": [2], "starts_hour": [12], "speed_mean_kmh": [31.0]}
    )
    (told,) = ask(serving, toy.instance())["predictions"]
    score = Scorer(bundle).score(pa.concat_tables([features] * 37))[-1]
    if task == "binary":
        assert told["score"] == score
    else:
        assert list(told["probabilities"].values()) == score.tolist()


def test_many_are_answered_like_one(serving: Serving) -> None:
    """Beyond a few rows DuckDB joins another way; the answers and their order must not change."""
    many = [
        toy.instance(-place % 90, zone_id=toy.ZONES[place % 3], driver_id=f"d{place}") for place in range(600)
    ]
    together = ask(serving, *many)["predictions"]
    assert [p["trip_id"].partition("-")[0] for p in together] == [f"d{place}" for place in range(600)]
    assert together[:20] == [ask(serving, one)["predictions"][0] for one in many[:20]]
    assert together[-20:] == [ask(serving, one)["predictions"][0] for one in many[-20:]]


def test_what_is_compiled_is_what_duckdb_says_to_the_bit(serving: Serving) -> None:
    assert serving.features.not_compiled is None
    asked = Asked.prepared(serving.bundle.contract, serving.bundle.feature_sql, serving.store, "to compare")
    body = [toy.instance(-hours, zone_id=zone, driver_id=f"d{hours}") for hours in range(90) for zone in ("centre", "x")]  # fmt: skip  # noqa: E501
    rows = serving.schema.decode(msgspec.json.encode({"instances": body}))
    compiled, oracle = serving.features.of(rows), asked.of(rows)
    assert [repr(list(row)) for row in compiled] == [repr(list(row)) for row in oracle]


def test_sql_that_does_not_compile_is_still_answered_by_duckdb_and_told(
    serving: Serving, bundles: Mapping[str, Bundle]
) -> None:
    files = dict(bundles["first"].files)
    files["features.sql"] = files["features.sql"].replace(
        b"hour(starts_at)", b"cast(strftime(starts_at, '%-H') as integer)"
    )
    odd = Serving.assemble(Bundle(files), store(toy.zone_speed()), 1000, timedelta(days=7))
    assert "strftime is compiled for" in str(odd.features.not_compiled)
    assert [ask(odd, toy.instance(-hours))["predictions"] for hours in range(5)] == [
        ask(serving, toy.instance(-hours))["predictions"] for hours in range(5)
    ]
    moved = odd.over(store(toy.zone_speed(shift_kmh=7)))
    assert ask(moved, toy.instance()) == ask(serving.over(moved.store), toy.instance()) | {
        "model": {"name": odd.bundle.model, "version": odd.bundle.version}
    }


def test_values_of_features_score_as_offline_and_may_be_missing(serving: Serving) -> None:
    rows = [
        {"zone_id": "centre", "passengers": 2, "starts_hour": 12, "speed_mean_kmh": 31.5},
        {"zone_id": None, "passengers": 2**40, "speed_mean_kmh": -0.0},
        {},
    ]
    features = pa.table({name: [row.get(name) for row in rows] for name in rows[0]})
    expected = Scorer(serving.bundle).score(features).tolist()
    together = serving.score(msgspec.json.encode({"instances": rows})).body["predictions"]
    alone = [serving.score(msgspec.json.encode({"instances": [one]})).body["predictions"][0] for one in rows]
    assert [one["score"] for one in together] == expected
    assert together == alone


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"passengers": 2.5}, "instances[0].passengers: must be a whole number"),
        ({"speed_kmh": 1}, "instances[0].speed_kmh: is not a field. Did you mean 'speed_mean_kmh'"),
        ({"speed_mean_kmh": "fast"}, "instances[0].speed_mean_kmh: must be a number km/h, or null"),
    ],
)
def test_values_that_no_feature_has_are_named(serving: Serving, row: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        serving.score(msgspec.json.encode({"instances": [row]}))
    assert said in refused.value.detail


def test_nothing_known_later_is_used(serving: Serving) -> None:
    later = toy.zone_speed()
    known = later.column("known_at").to_pylist()
    changed = [s if at <= datetime(2024, 3, 5, 11) else 0.0 for s, at in zip(later.column("speed_mean_kmh").to_pylist(), known, strict=True)]  # fmt: skip  # noqa: E501
    later = later.set_column(
        later.schema.get_field_index("speed_mean_kmh"), "speed_mean_kmh", pa.array(changed)
    )
    assert ask(serving.over(store(later)), toy.instance()) == ask(serving, toy.instance())


def test_an_unseen_category_is_missing_and_warned_of(serving: Serving) -> None:
    (told,) = ask(serving, toy.instance(zone_id="harbor"))["predictions"]
    (warning,) = told["warnings"]
    assert (warning["column"], warning["value"]) == ("zone_id", "harbor")
    assert "treated as missing. Did you mean 'harbour'" in warning["message"]


def test_a_time_past_the_newest_fact_is_warned_of(serving: Serving) -> None:
    (told,) = ask(serving, toy.instance(24))["predictions"]
    assert [w["message"] for w in told["warnings"]] == ["lies 12.0 h after the newest fact the features know"]


def test_a_time_before_all_that_is_looked_back_to_is_held_is_warned_of(bundles: Mapping[str, Bundle]) -> None:
    files = dict(bundles["first"].files)
    sql = files["features.sql"].decode()
    join = "and spine.prediction_at >= speed.known_at"
    files["features.sql"] = sql.replace(
        join, f"{join}\n        and speed.known_at >= spine.prediction_at - interval 24 hours"
    ).encode()
    bounded = Serving.assemble(Bundle(files), store(toy.zone_speed()), 1000, timedelta(days=7))
    if bounded.features.not_compiled:
        pytest.fail(bounded.features.not_compiled)
    old, new = (ask(bounded, toy.instance(hours))["predictions"][0] for hours in (-24 * 3.5, 0))
    (warning,) = old["warnings"]
    assert (
        "lies before 2024-03-02T00:00:00Z, from when on all that features look back to" in warning["message"]
    )
    assert "warnings" not in new


@pytest.mark.parametrize("hours", [-24 * 30, 24 * 8])
def test_a_time_the_tables_do_not_cover_is_refused(serving: Serving, hours: float) -> None:
    refused = refusal(serving, toy.instance(), toy.instance(hours))
    assert refused.kind is Kind.OUT_OF_REACH
    (error,) = refused.errors
    assert error.field == "instances[1]"
    assert "2024-03-01T00:00:00Z to 2024-03-12T23:00:00Z" in error.message


def test_empty_tables_are_said_to_be_empty(serving: Serving) -> None:
    refused = refusal(serving.over(store(toy.zone_speed().slice(0, 0))), toy.instance())
    assert (refused.kind, refused.errors) == (Kind.OUT_OF_REACH, ())


def test_a_bundle_whose_sql_loses_rows_fails_its_self_test(bundles: Mapping[str, Bundle]) -> None:
    files = dict(bundles["first"].files)
    files["features.sql"] = (
        files["features.sql"]
        .replace(b"asof left join", b"asof join")
        .replace(b"= speed.zone_id", b"= speed.zone_id || 'x'")
    )
    with pytest.raises(Exception, match=r"answered 0 rows, .* for a request of 1"):
        Serving.assemble(Bundle(files), store(toy.zone_speed()), 1000, timedelta(days=7))


def test_a_score_that_is_no_probability_fails_the_self_test(bundles: Mapping[str, Bundle]) -> None:
    files = dict(bundles["first"].files)
    files["trees.txt"] = files["trees.txt"].replace(b"objective=binary sigmoid:1", b"objective=regression")
    del files["samples.json"]
    with pytest.raises(SelfTestFailed, match="no probabilities"):
        Serving.assemble(Bundle(files), store(toy.zone_speed()), 1000, timedelta(days=7))


def test_the_document_is_made_of_the_contract(serving: Serving) -> None:
    told = document(serving)
    schemas = told["components"]["schemas"]
    assert schemas["Instance"]["required"] == ["driver_id", "zone_id", "starts_at"]
    assert schemas["Instance"]["properties"]["passengers"] == {
        "type": "integer",
        "description": "People in the car Unit: people.",
        "minimum": 1,
        "maximum": 8,
        "example": 2,
        "nullable": True,
    }
    assert schemas["Request"]["properties"]["instances"]["maxItems"] == 1000
    statuses = list(told["paths"]["/predict"]["post"]["responses"])
    assert statuses == ["200", "400", "401", "403", "404", "405", "413", "415", "422", "429", "409", "500"]


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("task", sorted(toy.TASKS))
def test_every_task_of_every_engine_is_answered_as_the_document_says(task: str, engine: str) -> None:
    bundle = toy.bundle(1, task, engine)
    serving = Serving.assemble(bundle, store(toy.zone_speed()), 1000, timedelta(days=7))
    request = pa.table(
        {
            "request_row": pa.array([0], pa.int32()),
            **{name: [toy.instance()[name]] for name in ("driver_id", "zone_id", "passengers")},
            "starts_at": pa.array([datetime(2024, 3, 5, 12)], pa.timestamp("us")),
        }
    )
    features = serving.store.features(request, bundle.feature_sql)
    score = Scorer(bundle).score(features)[0]
    (told,) = ask(serving, toy.instance())["predictions"]
    own = {name: value for name, value in told.items() if name not in ("trip_id", "prediction_at")}
    expected: dict[str, Any] = {"score": score}
    if task == "regression":
        expected = {"prediction": score}
    if task == "multiclass":
        classes = ("fair", "fast", "slow")
        expected = {
            "prediction": classes[score.argmax()],
            "probabilities": dict(zip(classes, score.tolist(), strict=True)),
        }
    assert own == expected
    schema = document(serving)["components"]["schemas"]["Prediction"]
    assert set(schema["required"]) == {"prediction_at", *own}
    if task == "multiclass":
        assert schema["properties"]["prediction"]["enum"] == list(classes)
        assert schema["properties"]["probabilities"]["required"] == list(classes)
    else:
        (name,) = own
        bounds = schema["properties"][name].get("minimum"), schema["properties"][name].get("maximum")
        assert bounds == ((0, 1) if task == "binary" else (None, None))


def test_a_prediction_that_is_no_number_fails_the_self_test() -> None:
    files = dict(toy.bundle(1, "regression", "linear").files)
    model = json.loads(files["coefficients.json"])
    model["columns"][3]["mean"] = 1e308
    model["columns"][3]["slope"] = [1e308]
    files["coefficients.json"] = json.dumps(model).encode()
    del files["samples.json"]
    with np.errstate(over="ignore"), pytest.raises(SelfTestFailed, match="no numbers"):
        Serving.assemble(Bundle(files), store(toy.zone_speed()), 1000, timedelta(days=7))


def _changed(bundle: Bundle, name: str, **changes: Any) -> Bundle:
    """The bundle with parts of one of its JSON files replaced."""
    return Bundle({**bundle.files, name: json.dumps({**json.loads(bundle.files[name]), **changes}).encode()})


def _retyped(bundle: Bundle, feature: str, kind: str) -> Bundle:
    features = json.loads(bundle.files["contract.json"])["features"]
    changed = [{**one, "type": kind} if one["name"] == feature else one for one in features]
    return _changed(bundle, "contract.json", features=changed)


def _without_speed(bundle: Bundle) -> Bundle:
    sql = bundle.feature_sql.replace("    speed_mean_kmh\nfrom zone", "    1 as other\nfrom zone")
    assert sql != bundle.feature_sql
    return Bundle({**bundle.files, "features.sql": sql.encode()})


def _texts_for_speed(bundle: Bundle) -> Bundle:
    sql = bundle.feature_sql.replace("    speed_mean_kmh\nfrom zone", "    'x' as speed_mean_kmh\nfrom zone")
    return Bundle({**bundle.files, "features.sql": sql.encode()})


BROKEN: dict[str, tuple[Callable[[Bundle], Bundle], str]] = {
    "a feature that its SQL does not give": (_without_speed, r'needs column "speed_mean_kmh"'),
    "a feature of another type": (_texts_for_speed, r'"speed_mean_kmh" is string; expected is real'),
    "a contract of another type": (
        lambda bundle: _retyped(bundle, "passengers", "boolean"),
        r'"passengers" is int64; expected is boolean',
    ),
    "a contract without a feature": (
        lambda bundle: _changed(
            bundle, "contract.json", features=json.loads(bundle.files["contract.json"])["features"][1:]
        ),
        "its declaration alone has feature 'zone_id'",
    ),
    "a contract of another task": (
        lambda bundle: _changed(bundle, "contract.json", task="regression"),
        "says task 'binary', its contract 'regression'",
    ),
    "a model of other features": (
        lambda bundle: Bundle(
            {**bundle.files, "trees.txt": bundle.files["trees.txt"].replace(b"starts_hour", b"starts_week")}
        ),
        "the model alone has feature 'starts_week'; its contract alone has feature 'starts_hour'",
    ),
    "another major version of its engine": (
        lambda bundle: _changed(bundle, "receipt.json", versions={"lightgbm": "3.3.5"}),
        r"was fitted by lightgbm 3\.3\.5, and 4\.",
    ),
    "an engine nobody noted": (
        lambda bundle: _changed(bundle, "receipt.json", versions={}),
        "was fitted by lightgbm an unknown version",
    ),
    "a model text cut short": (
        lambda bundle: Bundle({**bundle.files, "trees.txt": bundle.files["trees.txt"][:900]}),
        r'"lightgbm" refused to load',
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bundle_that_contradicts_itself_is_refused_by_name(
    bundles: Mapping[str, Bundle], what: str
) -> None:
    change, told = BROKEN[what]
    with pytest.raises(HeadwaterError, match=told):
        Serving.assemble(change(bundles["first"]), store(toy.zone_speed()), 1000, timedelta(days=7))


def test_a_minor_version_of_the_engine_is_not_refused(bundles: Mapping[str, Bundle]) -> None:
    older = _changed(bundles["first"], "receipt.json", versions={"lightgbm": "4.0.0"})
    assert Scorer(older).fitted.features == ("zone_id", "passengers", "starts_hour", "speed_mean_kmh")
