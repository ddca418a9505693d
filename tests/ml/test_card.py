"""The card says what a version is for, how good it is, and where not."""

import pytest

from ml.bundle import Bundle
from ml.card import render
from ml.evaluation import Evaluation
from ml.gate import decide


def test_the_card_says_what_was_measured(bundle: Bundle, evaluation: Evaluation) -> None:
    card = render(bundle, evaluation, decide(evaluation, bundle.declaration.gate))
    sure = evaluation.analysis.intervals["roc_auc"]
    for said in (
        bundle.version,
        "`is_late`",
        "Trained only on rows with `has_van`.",
        f"| ROC AUC | {evaluation.metrics['roc_auc']:.4f} | {sure.low:.4f} to {sure.high:.4f} |",
        f"Tested on {evaluation.n_rows:,} later rows",
        "No value was ever seen of: `never`.",
        evaluation.importances[0].feature,
    ):
        assert said in card
    assert card.startswith("# late_parcel ")
    assert card == render(bundle, evaluation, decide(evaluation, bundle.declaration.gate))


@pytest.mark.parametrize("section", ["Data", "Metrics", "Where it is worse", "Limits", "Decision"])
def test_no_section_is_empty(bundle: Bundle, evaluation: Evaluation, section: str) -> None:
    card = render(bundle, evaluation, decide(evaluation, bundle.declaration.gate))
    assert card.split(f"## {section}\n\n")[1].strip().partition("\n")[0]
