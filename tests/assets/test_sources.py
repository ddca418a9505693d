"""What the UI shows of bad rows and changed files: figures by partition, two checks, refused days."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.components import LandedSource
from assets.resources import JsonValues, Platform
from ml.settings import Settings
from ml.sources import Source
from tests.assets.meters import failures
from tests.ml.readings import DAY, HEADER, declared, lines, put, row

BAD = {0: 1, 2: 3}  # rows by day


@pytest.fixture
def settings(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    for name in ("home", "landing"):
        monkeypatch.setenv(f"HEADWATER_{name.upper()}", str(tmp_path / name))
    yield Settings.from_env()


def _day(n: int) -> date:
    return DAY + timedelta(days=n)


def _land(settings: Settings, bad: dict[int, int], n_days: int = 4) -> None:
    for n in range(n_days):
        rows = [row(h, day=_day(n), value="-99" if h < bad.get(n, 0) else "1") for h in range(8)]
        put(settings, [HEADER, *rows], f"{_day(n)}.csv")


def _run(source: Source, first: int = 0, last: int = 3) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions.merge(
        LandedSource(source).build_defs(dg.ComponentTree.for_test().load_context),
        dg.Definitions(
            resources={"platform": Platform(), "io_manager": JsonValues()},
            jobs=[dg.define_asset_job("take", dg.AssetSelection.groups("raw"))],
            executor=dg.in_process_executor,
        ),
    )
    return definitions.resolve_job_def("take").execute_in_process(
        tags={
            ASSET_PARTITION_RANGE_START_TAG: str(_day(first)),
            ASSET_PARTITION_RANGE_END_TAG: str(_day(last)),
        },
        raise_on_error=False,
    )


def _shown(value: dg.MetadataValue[Any]) -> Any:
    return value.records if isinstance(value, dg.TableMetadataValue) else value.value


def _by_day(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    found = (
        event.step_materialization_data.materialization for event in result.get_asset_materialization_events()
    )
    return {
        str(one.partition): {name: _shown(value) for name, value in one.metadata.items()} for one in found
    }


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_each_partition_has_its_own_counts_by_rule_and_sample(settings: Settings) -> None:
    _land(settings, BAD)

    shown = _by_day(_run(declared()))

    assert [shown[str(_day(n))]["rows_quarantined"] for n in range(4)] == [1, 0, 3, 0]
    assert [shown[str(_day(n))]["dagster/partition_row_count"] for n in range(4)] == [7, 8, 5, 8]
    assert shown[str(_day(2))]["share_quarantined"] == 0.375
    assert shown[str(_day(2))]["quarantined/value is at least -50"] == 3
    (first, *_) = shown[str(_day(2))]["quarantine_sample"]
    told = {name: first.data[name] for name in ("file", "row", "column", "value", "rule")}
    assert told == {
        "file": f"readings/{_day(2)}.csv",
        "row": 1,
        "column": "value",
        "value": "-99",
        "rule": "is at least -50",
    }
    assert not {name for name in shown[str(_day(1))] if name.startswith("quarantine")}


def test_the_quarantine_check_has_counts_and_the_days_trend(settings: Settings) -> None:
    _land(settings, BAD)
    _run(declared(), 0, 1)

    check = _checks(_run(declared(), 2, 3))["quarantine"]

    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    assert check.metadata["rows_quarantined"].value == 3
    trend = str(check.metadata["trend"].value).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in trend] == [str(_day(n)) for n in range(4)]
    assert [int(line.split("|")[3]) for line in trend] == [1, 0, 3, 0]
    assert trend[2].count("█") > trend[0].count("█") > 0
    (rule,) = check.metadata["by_rule"].records
    assert rule.data == {"rule": "value is at least -50", "rows": 3}


def test_clean_days_pass_both_checks(settings: Settings) -> None:
    _land(settings, {})

    checks = _checks(_run(declared()))

    assert {name: one.passed for name, one in checks.items()} == {
        "landed_files": True,
        "quarantine": True,
        "drift": True,
    }


def test_past_the_share_the_partition_fails_with_the_cell_the_rule_and_the_way_out(
    settings: Settings,
) -> None:
    _land(settings, {1: 5})

    result = _run(declared(), 1, 1)

    assert not result.success
    assert not _checks(result)["landed_files"].passed
    for part in (
        f"{_day(1)}.csv",
        'row 1, column "value"',
        "5 of 8 rows are bad (62.5%)",
        '"-99"',
        "is at least -50",
        "at most 50.0% bad rows",
        "land a corrected one",
    ):
        assert part in failures(result)


def test_the_drift_check_names_each_kind_of_change(settings: Settings) -> None:
    source = declared(
        drift={
            "new_columns": "warn",
            "missing_columns": "warn",
            "categories": {"columns": ["meter"], "new": "warn", "after_days": 2},
        }
    )
    _land(settings, {})
    put(
        settings,
        [",".join([line.split(",")[i] for i in (1, 0, 3, 4)] + ["x"]) for line in lines(day=_day(3))],
        f"{_day(3)}.csv",
    )
    put(settings, [HEADER, row(0, day=_day(2), meter="m7")], f"{_day(2)}.csv")

    result = _run(source)

    check = _checks(result)["drift"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    kinds = {name: value.value for name, value in check.metadata.items() if name != "what_changed"}
    assert kinds == {
        "changes": 5,
        "new_category": 1,
        "vanished_category": 1,
        "new_column": 1,
        "missing_column": 1,
        "reordered_columns": 1,
    }
    assert _by_day(result)[str(_day(3))]["changes/new_column"] == 1
    assert _by_day(result)[str(_day(0))]["changes"] == 0
