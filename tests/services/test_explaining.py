"""What an answer tells on request: the values of its features, and what each adds to the score."""

from datetime import timedelta

import msgspec
import numpy as np
import pytest

from ml.engines import ENGINES
from services.serving import More, Serving
from tests.services import toy
from tests.services.test_serving import store


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("task", sorted(toy.TASKS))
def test_an_explanation_adds_up_to_the_score(task: str, engine: str) -> None:
    bundle = toy.bundle(1, task, engine)
    serving = Serving.assemble(bundle, store(toy.zone_speed()), 1000, timedelta(days=7))
    body = msgspec.json.encode({"instances": [toy.instance(), toy.instance(3, zone_id="airport")]})
    predicted = serving.predict(body, More(explain=True, features=True)).body["predictions"]
    for plain, told in zip(serving.predict(body).body["predictions"], predicted, strict=True):
        explanation = told.pop("explanation")
        features, coded = told.pop("features"), told.pop("coded")
        assert told == plain
        assert explanation.base + sum(part.adds for part in explanation.parts) == pytest.approx(
            explanation.raw
        )
        assert [abs(part.adds) for part in explanation.parts] == sorted(
            (abs(part.adds) for part in explanation.parts), reverse=True
        )
        assert {part.feature: part.value for part in explanation.parts}.items() <= features.items()
        assert len(coded) == len(features) == 4
        if task == "binary":
            assert 1 / (1 + np.exp(-explanation.raw)) == pytest.approx(told["score"])
        elif task != "multiclass":
            assert explanation.raw == pytest.approx(told.get("score", told.get("prediction")))
        else:
            assert explanation.of == told["prediction"]
        speed = next(part for part in explanation.parts if part.feature == "speed_mean_kmh")
        assert speed.says.startswith(f"speed_mean_kmh is {features['speed_mean_kmh']:.4g} km/h: ")
