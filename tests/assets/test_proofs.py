"""The proofs as checks of a project: days as they may come, rows and SQL with faults, SQL not built yet."""

import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from assets.automation import PROOFS_JOB
from assets.components import sql_check
from assets.components.sql_check import sql_results
from assets.table_proofs import INCREMENTAL, PROOFS
from ml.arrivals import Segment
from ml.declaration import ModelDeclaration
from ml.errors import Uncertified
from ml.lake.workshop import Workshop
from ml.training_set import assemble
from tests.assets.meters import MODEL, MODEL_STEPS, Meters, day, failures
from tests.project_folder import ROOT

SUMS = "models/intermediate/int_meter_sums.sql"
N_TABLES = 7  # that hold rows
WHOLE = Segment(day(0), day(3), ("readings",), "digest")
Told = dict[str, list[dg.AssetCheckEvaluation]]
LOOK_AGAIN = """
import sys
from assets.components import sql_check
from assets.dbt_runner import DbtRunner
from ml.settings import Settings
sql_check.lint = None  # so that looking would fail
print(*{result.status for result in sql_check.sql_results(DbtRunner(Settings.from_env()), sys.argv[1:])})
"""


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meters]:
    """A project; each test leaves it with everything computed, and clean."""
    with pytest.MonkeyPatch.context() as patch:
        yield Meters(tmp_path_factory.mktemp("meters"), patch)


def prove(meters: Meters) -> Told:
    """What the nightly job says of tables that do not pass, by table."""
    job = meters.definitions().resolve_job_def(PROOFS_JOB)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(instance=meters.instance, run_config=quiet, raise_on_error=False)
    checks = [one for one in result.get_asset_check_evaluations() if one.check_name in PROOFS]
    assert len(checks) == len(PROOFS) * N_TABLES
    told: Told = {}
    for check in checks:
        if not check.passed:
            told.setdefault(check.asset_key.path[-1], []).append(check)
    is_wrong = any(
        check.severity == dg.AssetCheckSeverity.ERROR for found in told.values() for check in found
    )
    assert result.success == (not is_wrong)
    assert is_wrong == ("The proof" in failures(result))
    return told


def compute(meters: Meters) -> None:
    for result in meters.run(*meters.due(), without=MODEL_STEPS):
        assert failures(result) == ""
    assert meters.due() == ()


def refusal(meters: Meters) -> str:
    """Why a plain call gets no training set; empty when it gets one."""
    declaration = ModelDeclaration.parse(
        {k: v for k, v in MODEL.items() if k not in ("description", "owners")}
    )
    try:
        assemble(meters.published, declaration)
    except Uncertified as refused:
        return str(refused)
    return ""


def test_nothing_is_wrong_before_anything_has_landed(meters: Meters) -> None:
    meters.settings.home.mkdir(exist_ok=True)
    assert prove(meters) == {}


def test_days_as_they_may_come_give_what_a_full_rebuild_gives(meters: Meters) -> None:
    for n in (0, 2):
        meters.land_readings(day(n))
    compute(meters)
    meters.land_readings(day(3))
    compute(meters)
    meters.land_readings(day(1))  # late
    compute(meters)
    meters.land_readings(day(1))  # the same again
    assert meters.due() == ()
    meters.land_readings(day(2), more=5)  # corrected
    compute(meters)
    assert prove(meters) == {}
    assert refusal(meters) == ""


def test_two_backfills_that_race_give_what_a_full_rebuild_gives(meters: Meters) -> None:
    racing = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.assets.racing_backfill", str(day(a)), str(day(b)), "2"], cwd=ROOT
        )
        for a, b in ((0, 2), (1, 3))
    ]
    assert [process.wait(300) for process in racing] == [0, 0]
    assert prove(meters) == {}


def test_a_changed_cell_is_named_and_nothing_is_trained_on_it_until_it_is_mended(meters: Meters) -> None:
    change = "update features.reading_features set watts_sum_2d = {} where reading_id = ?"
    reading = f"m1-{day(2):%Y%m%d}T02"
    (stood,) = of_workshop(
        meters, "select watts_sum_2d from features.reading_features where reading_id = ?", reading
    )
    of_workshop(meters, change.format(12345), reading)
    (check,) = prove(meters)["reading_features"]
    for part in (str(day(2)), reading, "watts_sum_2d is 12345", f"a full rebuild gives {stood}"):
        assert part in str(check.description)
    assert f"the check '{INCREMENTAL}' failed in run" in refusal(meters)
    assert f"of {day(2)} in edition" in refusal(meters)
    (result,) = meters.run(WHOLE, only=["high_reading/training_set"], tags={})
    assert INCREMENTAL in failures(result)
    of_workshop(meters, change.format(stood), reading)
    assert prove(meters) == {}
    assert refusal(meters) == ""


def test_what_is_made_from_a_table_that_failed_is_not_trained_on(meters: Meters) -> None:
    of_workshop(meters, "update staging.stg_readings set watts = watts + 3 where day = ?", str(day(1)))
    told = prove(meters)
    assert set(told) == {"stg_readings"}
    assert "failed in run" in refusal(meters)  # labels are made from these rows
    (result,) = meters.run(WHOLE, without=MODEL_STEPS, tags=days(0, 3))
    assert failures(result) == ""
    assert refusal(meters) == ""  # published anew
    assert prove(meters) == {}


def test_edited_sql_is_stale_until_it_is_built_and_what_is_built_is_judged(meters: Meters) -> None:
    flip = "update labels.reading_labels set is_high = not is_high where day = ?"
    with meters.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 2 as"):
        told = prove(meters)
        assert {(name, check.severity) for name, found in told.items() for check in found} == {
            ("int_meter_sums", dg.AssetCheckSeverity.WARN)
        }
        assert "Stale, not judged" in str(told["int_meter_sums"][0].description)
        assert "its code changed" in str(told["int_meter_sums"][0].description)
        of_workshop(meters, flip, str(day(0)))
        assert set(prove(meters)) == {"int_meter_sums", "reading_labels"}
        of_workshop(meters, flip, str(day(0)))
    assert prove(meters) == {}


def test_sql_that_may_not_repeat_stops_a_run_before_it_publishes(meters: Meters) -> None:
    edition = meters.published.edition().id
    with meters.edited("macros/own.sql", "sum({{ column }})", "sum({{ column }} / 2)"):
        (result,) = meters.run(*meters.due(), without=MODEL_STEPS)
        (check,) = (one for one in result.get_asset_check_evaluations() if not one.passed)
        assert (check.asset_key.path[-1], check.check_name) == ("int_meter_sums", sql_check.NAME)
        for part in ("int_meter_sums, line", "sum(", "DECIMAL"):
            assert part in failures(result)
        assert meters.published.edition().id == edition
        assert refusal(meters) == ""


def test_sql_is_looked_at_once_for_each_code(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    meters.land_readings(day(0))
    compute(meters)
    ids = [f"model.headwater.{name}" for name in ("int_meter_sums", "reading_features")]
    assert {result.status for result in sql_results(meters.runner, ids)} == {"pass"}
    monkeypatch.setattr(sql_check, "lint", None)
    # Another process, where sets have another order.
    command, env = [sys.executable, "-c", LOOK_AGAIN, *ids], {**os.environ, "PYTHONHASHSEED": "7"}
    again = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (again.stdout, again.stderr) == ("pass\n", "")
    with meters.edited(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} + 2 as"):
        with pytest.raises(TypeError):
            list(sql_results(meters.runner, ids))
        monkeypatch.undo()


def of_workshop(meters: Meters, sql: str, value: str) -> list[object]:
    with Workshop(meters.settings).turn() as turn, turn.connect() as con:
        found = con.execute(sql, [value]).fetchone()
    return list(found or ())


def days(first: int, last: int) -> dict[str, str]:
    """Tags of a run over a range of days by hand."""
    return {
        ASSET_PARTITION_RANGE_START_TAG: str(day(first)),
        ASSET_PARTITION_RANGE_END_TAG: str(day(last)),
    }
