"""The report stands alone and says what must be said; pictures are small and the same every time."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ml.bundle import Bundle
from ml.declared_gate import Gate
from ml.evaluation import Evaluation, evaluate
from ml.gate import decide
from ml.plots import Picture, draw
from ml.report import render
from ml.scoring import Scorer
from ml.spending import Spending
from ml.training import train
from ml.training_set import TrainingSet
from tests.ml.parcels import DECLARED, SLICES, declared, definition


@pytest.fixture(scope="module")
def bundle(training_set: TrainingSet) -> Bundle:
    return train(training_set, declared(slices=SLICES), definition())


@pytest.fixture(scope="module")
def judged(bundle: Bundle, training_set: TrainingSet) -> Evaluation:
    champion = train(training_set, declared(engine={**DECLARED["engine"], "seed": 8}), definition())
    return evaluate(Scorer(bundle), training_set.test, champion=Scorer(champion))


@pytest.fixture(scope="module")
def pictures(judged: Evaluation) -> dict[str, Picture]:
    return draw(judged)


def _page(bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]) -> str:
    return render(bundle, judged, decide(judged, bundle.declaration.gate), pictures)


def test_the_test_beside_the_champion_stands_in_numbers(
    bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]
) -> None:
    rule = {"metric": "roc_auc", "rule": "better", "min_effect": 0.001}
    gate = Gate.model_validate({"floor": {"roc_auc": 0.5}, "against_champion": rule})
    decision = decide(judged, gate, Spending(level=0.00098, left=0.048, nth=2))
    test = decision.test
    assert test is not None
    page = render(bundle, judged, decision, pictures)
    for told in (f"{test.difference:.4f}", f"{test.low:.4f} to {test.high:.4f}", "0.00098", "0.0480"):
        assert f">{told}</td>" in page
    assert "level spent" not in _page(bundle, judged, pictures), "a drop was allowed: nothing was spent"


class _Balanced(HTMLParser):
    """Checks that every element is closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_pictures_are_small_and_repeat(judged: Evaluation, pictures: dict[str, Picture]) -> None:
    assert set(pictures) == {"roc", "pr", "calibration", "over_time", "cost", "importances", "contributions"}
    for name, picture in draw(judged).items():
        assert picture == pictures[name]
        assert picture.png.startswith(b"\x89PNG")
        assert len(picture.png) < 60_000
        assert len(picture.svg) < 60_000
        assert picture.alt in picture.svg


def test_the_page_refers_to_nothing_outside_itself(
    bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]
) -> None:
    page = _page(bundle, judged, pictures)
    assert not re.findall(
        r'(?:src|href)="(?!#|data:image/png;base64,)[^"]*"', page.replace("xlink:href", "href")
    )
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert "<script" not in page
    assert re.findall(r"prefers-color-scheme: dark", page)
    assert "#1f2933" not in page.split("</style>")[1]


def test_the_page_is_well_formed_with_unique_ids(
    bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]
) -> None:
    parser = _Balanced()
    parser.feed(_page(bundle, judged, pictures))
    assert not parser.open
    assert len(parser.ids) == len(set(parser.ids))


def test_the_page_says_what_must_be_said(
    bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]
) -> None:
    page = _page(bundle, judged, pictures)
    decision = decide(judged, bundle.declaration.gate)
    said = [
        bundle.version,
        judged.id,
        *(f"{value:.4f}" for value in judged.metrics.values()),
        *(reason.text for reason in decision.reasons),
        *(feature.name for feature in bundle.contract.features),
        *(column.name for column in bundle.contract.request),
        *("ROC", "Precision and recall", "Calibration", "Over time", "Importances"),
        "4: N, S, W, Ö",
        "2024-02-20 to 2024-03-12",
        bundle.receipt["feature_sql_sha256"],
        f"{judged.n_rows:,} rows that neither was trained on",
        "features without any value</dt><dd>never",
        "num_iterations",
    ]
    assert [text for text in said if text not in page] == []


def test_a_refusal_leads_the_page(bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]) -> None:
    poor = replace(
        judged, metrics={**judged.metrics, "roc_auc": 0.61}, not_comparable="a < b & c", comparison=None
    )
    page = _page(bundle, poor, pictures)
    assert '<p class="verdict no"><b>refuse</b> roc_auc 0.610 is below the declared floor 0.700' in page
    assert "a &lt; b &amp; c" in page


def test_the_page_repeats(bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]) -> None:
    assert _page(bundle, judged, pictures) == _page(bundle, judged, draw(judged))


def test_it_says_where_how_dearly_and_about_what_the_candidate_is_wrong(
    bundle: Bundle, judged: Evaluation, pictures: dict[str, Picture]
) -> None:
    page = _page(bundle, judged, pictures)
    sure = judged.analysis.intervals["roc_auc"]
    assert sure.low < judged.metrics["roc_auc"] < sure.high
    for said in (
        f"{sure.low:.4f} to {sure.high:.4f}",
        "engine seed",
        judged.analysis.cases[0].key,
        "It costs least",
    ):
        assert said in page
    assert judged.analysis.slices
    for one in judged.analysis.slices[:5]:
        assert f"<td>{one.value}</td><td class=n>{one.n_rows:,}</td>" in page
