"""One self-contained page about an evaluation, to be read by people and kept with the model.

It repeats what was measured and decided; it computes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from ml import canonical
from ml import report_analysis as parts
from ml.backtest import Backtest
from ml.bundle import Bundle
from ml.contract import Feature
from ml.evaluation import Evaluation
from ml.gate import Decision, PairedTest
from ml.metrics import METRICS
from ml.plots import Picture
from ml.report_html import folded, number, table
from ml.report_style import CSS

_APART = ("cost", "importances", "contributions", "backtest")  # which stand in sections of their own
_FEATURE_HEADER = ("feature", "type", "unit", "range in training", "missing", "description")


def render(
    bundle: Bundle,
    evaluation: Evaluation,
    decision: Decision,
    pictures: Mapping[str, Picture],
    backtest: Backtest | None = None,
) -> str:
    """The page as HTML that refers to nothing outside itself; `backtest` is of the same declaration."""
    gate = bundle.declaration.gate
    curves = [name for name in pictures if name not in _APART]
    body = "\n".join(
        (
            _head(bundle, evaluation, decision),
            _section("Gate", _reasons(decision) + _test(decision.test)),
            _section("Metrics", _metrics(bundle, evaluation)),
            _section("Curves", f'<div class="pictures">{_figures(pictures, curves)}</div>'),
            *_calibration(evaluation),
            *_backtest(backtest, pictures),
            _section("Where it is worse", parts.slices(evaluation, gate.against_champion.metric)),
            *_costs(evaluation, pictures),
            _section("Importances", parts.importances(evaluation, _figures(pictures, _APART[1:3]))),
            _section("Most wrong", parts.cases(evaluation)),
            _section("Changed since the champion", parts.changes(evaluation)),
            _section("Data", _data(bundle, evaluation)),
            _section("Contract", _contract(bundle)),
            _section(
                "Declaration", folded("as JSON", f"<pre>{escape(canonical.dumps(bundle.declaration))}</pre>")
            ),
        )
    )
    title = escape(f"{bundle.model} {bundle.version[:12]}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{CSS}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _calibration(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.uncalibrated:
        yield _section("Calibration before and after", parts.calibration(evaluation, evaluation.uncalibrated))


def _backtest(backtest: Backtest | None, pictures: Mapping[str, Picture]) -> Iterator[str]:
    if backtest:
        yield _section("Backtest", parts.backtest(backtest, _figures(pictures, ("backtest",))))


def _costs(evaluation: Evaluation, pictures: Mapping[str, Picture]) -> Iterator[str]:
    if evaluation.analysis.thresholds:
        yield _section("Threshold and cost", parts.costs(evaluation, _figures(pictures, ("cost",))))


def _head(bundle: Bundle, evaluation: Evaluation, decision: Decision) -> str:
    verdict, mark = ("promote", "yes") if decision.promote else ("refuse", "no")
    said = f"all {len(decision.reasons)} rules of the gate are met" if decision.promote else decision.text
    return (
        f'<header><p class="kind">evaluation {evaluation.id}</p><h1>{escape(bundle.model)}</h1>'
        f'<p class="version">version <code>{bundle.version}</code></p>'
        f'<p class="verdict {mark}"><b>{verdict}</b> {escape(said)}</p></header>'
    )


def _reasons(decision: Decision) -> str:
    items = (
        f'<li class="{"yes" if one.is_met else "no"}"><b>{"met" if one.is_met else "not met"}</b> '
        f"{escape(one.text)}</li>"
        for one in decision.reasons
    )
    return f'<ul class="reasons">{"".join(items)}</ul>'


def _test(test: PairedTest | None) -> str:
    if test is None:
        return ""
    header = ["beside the champion", "better by", "95 % interval", "day blocks"]
    cells = [test.metric, f"{test.difference:.4f}", f"{test.low:.4f} to {test.high:.4f}", str(test.n_blocks)]
    if test.p_value is not None:
        header += ["more than", "p", "level spent", "left", "test"]
        cells += [f"{value:.2g}" for value in (test.min_effect, test.p_value, test.level)]
        cells += [f"{test.left:.4f}", str(test.nth)]
    return table(header, [cells], numeric=range(1, 9))


def _metrics(bundle: Bundle, evaluation: Evaluation) -> str:
    floors = bundle.declaration.gate.floor
    beside = evaluation.comparison
    sure, plain = evaluation.analysis.intervals, evaluation.baseline
    header = ["metric", "better", "candidate", "95 % interval", "declared"]
    if plain:
        header.append(f"baseline ({plain.engine})")
    if beside:
        header += ["candidate, same rows", "champion, same rows"]
    rows = []
    for name, metric in METRICS[evaluation.task].items():
        cells = [metric.title, "higher" if metric.higher_is_better else "lower"]
        interval = f"{number(sure[name].low)} to {number(sure[name].high)}" if name in sure else ""
        cells += [number(evaluation.metrics[name]), interval]
        cells.append(number(floors[name]) if name in floors else "")
        if plain:
            cells.append(number(plain.metrics[name]))
        if beside:
            cells += [number(beside.candidate[name]), number(beside.champion[name])]
        rows.append(cells)
    return table(header, rows, numeric=range(2, len(header))) + f"<p>{escape(_same_rows(evaluation))}</p>"


def _same_rows(evaluation: Evaluation) -> str:
    tested = (
        f"Tested on {evaluation.n_rows:,} rows, {evaluation.first_day} to {evaluation.last_day}; intervals "
        "are by drawing its days again, since rows of one day have much in common."
    )
    if evaluation.champion is None:
        return f"{tested} There was no champion to compare with."
    champion = evaluation.champion[:12]
    if evaluation.champion == evaluation.version:
        return f"{tested} It is the champion itself."
    if evaluation.comparison is None:
        return f"{tested} Not comparable with the champion {champion}: {evaluation.not_comparable}."
    beside = evaluation.comparison
    left_out = (
        f"; {beside.n_left_out:,} test rows of days it was trained on are left out"
        if beside.n_left_out
        else ""
    )
    return (
        f"{tested} Beside the champion {champion} on {beside.n_rows:,} rows that neither was trained on, "
        f"{beside.first_day} to {beside.last_day}{left_out}."
    )


def _figures(pictures: Mapping[str, Picture], names: Iterable[str]) -> str:
    return "".join(
        f"<figure><figcaption>{escape(pictures[name].title)}</figcaption>{pictures[name].svg}</figure>"
        for name in names
        if name in pictures
    )


def _data(bundle: Bundle, evaluation: Evaluation) -> str:
    trained = bundle.receipt["rows"]
    part = ["days", "rows", "mean label", "SHA-256 of the values"]
    rows = [
        _part("trained on", trained),
        _part("tested on", canonical.plain(evaluation)),
    ]
    receipt = bundle.receipt
    facts = {
        "feature table": receipt["tables"]["features"],
        "label": f"{receipt['tables']['label']}.{evaluation.label}",
        "edition": bundle.origin["edition"],
        "snapshots": ", ".join(f"{table} {n}" for table, n in sorted(bundle.origin["snapshots"].items())),
        "feature SQL SHA-256": receipt["feature_sql_sha256"],
        "seed": receipt["seed"],
        "versions": ", ".join(f"{name} {n}" for name, n in sorted(receipt["versions"].items())),
        "run by": f"Python {receipt['python']} on {receipt['machine']}",
        "features without any value": ", ".join(evaluation.all_missing) or "none",
    }
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return f"{table(['', *part], rows, numeric=(2, 3))}<dl>{listed}</dl>"


def _part(name: str, part: Mapping[str, Any]) -> list[str]:
    days = f"{part['first_day']} to {part['last_day']}"
    return [name, days, f"{part['n_rows']:,}", number(part["label_mean"]), f"{part['rows_sha256'][:16]}…"]


def _contract(bundle: Bundle) -> str:
    request = [
        [one.name, one.kind, one.unit or "", "required" if one.is_required else "optional", one.description]
        for one in bundle.contract.request
    ]
    features = [
        [one.name, one.type, one.unit or "", _range(one), f"{one.missing_share:.1%}", one.description]
        for one in bundle.contract.features
    ]
    return (
        "<h3>A request carries</h3>"
        + table(["column", "type", "unit", "", "description"], request, names=True)
        + "<h3>The model takes</h3>"
        + table(_FEATURE_HEADER, features, numeric=(4,), names=True)
    )


def _range(feature: Feature) -> str:
    if feature.type == "category":
        shown = ", ".join(feature.categories[:4])
        more = ", …" if len(feature.categories) > 4 else ""  # noqa: PLR2004 as many as fit a cell
        return f"{len(feature.categories)}: {shown}{more}"
    if feature.minimum is None or feature.maximum is None:
        return "no value"
    return f"{feature.minimum:g} to {feature.maximum:g}"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"
