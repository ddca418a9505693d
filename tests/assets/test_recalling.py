"""A recalled file leaves a world in which it never came: raw, published rows, the model trained afterwards.

By the command's own steps, over a small project of real parts, beside one in which the file never landed.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.console import Voice
from headwater.recall import Runs, execute_recall
from ml import recalling
from ml.arrivals import Segment
from ml.computed import Computed
from ml.errors import HeadwaterError, RecallUnfinished
from ml.lake.workshop import Workshop
from ml.ledger import Ledger
from ml.ledger_reading import CROWNING
from ml.reach import reach_of
from ml.sources import declared_sources, recalled
from ml.sources.landed import pending, recalled_files
from ml.sources.recalled import Found, find, path_of, recalls
from tests.assets.meters import MODEL, Meters, day, failures
from tests.assets.test_rebuilding import GATE, trained

N_DAYS = 6
SOURCES = ("meters", "readings")


class Failed(HeadwaterError):
    """A run of the small project failed."""


def runs(meters: Meters, train: Callable[[str], object] | None = None) -> Runs:
    def ran(segment: Segment, **how: Any) -> None:
        told = [failures(result) for result in meters.run(segment, without=["high_reading/bento"], **how)]
        if any(told):
            raise Failed("; ".join(told))

    def trained_again(_: str) -> None:
        steps = [f"high_reading/{step}" for step in ("training_set", "candidate", "evaluation", "champion")]
        ran(Segment(day(0), day(0), (), ""), only=steps, tags={})

    return Runs(lambda: meters.code.tables, ran, train or trained_again)


def world(folder: Path, patch: pytest.MonkeyPatch) -> Meters:
    meters = Meters(folder, patch)
    meters.model = {**MODEL, "gate": GATE}
    for n in range(N_DAYS):
        meters.land_readings(day(n))
    return meters


def here(meters: Meters, patch: pytest.MonkeyPatch) -> None:
    """The environment names this project again."""
    patch.setenv("HEADWATER_PROJECT", str(meters.settings.project))
    patch.setenv("HEADWATER_HOME", str(meters.settings.home))
    patch.setenv("HEADWATER_LANDING", str(meters.settings.landing))


def raw_rows(meters: Meters) -> list[Any]:
    """What raw says, but for the clock's times at which files happened to land."""
    with Workshop(meters.settings).turn(), Workshop(meters.settings).connect() as con:
        asked = (
            "select meter, watts, read_at, day, source_file_id, corrected_at is null, superseded_at is null"
        )
        rows = con.execute(f"{asked} from raw.readings_versions order by all").fetchall()
        files = con.execute(
            "select source, day, source_file_id, n_rows from raw.files order by all"
        ).fetchall()
    return [*rows, *files]


def published(meters: Meters) -> dict[str, Any]:
    edition = meters.published.edition()
    return {
        name: sorted(map(str, meters.published.read(name, edition=edition).to_pylist()))
        for name in sorted(edition.snapshots)
    }


def found(meters: Meters, wanted: Path | str) -> Found:
    return find(meters.settings, SOURCES, str(wanted))


def test_recall_leaves_a_world_in_which_the_file_never_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = world(tmp_path / "never", monkeypatch)
    never.land_readings(day(N_DAYS))
    wanted_version, _ = trained(never)

    meters = world(tmp_path / "came", monkeypatch)
    clean, _ = trained(meters)
    bad = meters.land_readings(day(2), more=1)
    meters.land_readings(day(N_DAYS))
    was, _ = trained(meters)
    assert was != wanted_version

    file = found(meters, bad)
    reach = reach_of(meters.settings, file, meters.code.tables)
    assert [one.version for one in reach.models if one.is_champion] == [was]
    assert clean not in {one.version for one in reach.models}
    assert day(2) in reach.partitions["reading_labels"]
    assert reach.features == {"reading_features": ("meter_id", "read_hour", "watts_sum_2d")}

    recall_it(meters, file, runs(meters))

    assert raw_rows(meters) == raw_rows_of(never, meters, monkeypatch)
    assert published(meters) == published(never)
    made = recalls(meters.settings)[file.source, file.sha256]
    assert made.is_done
    assert made.trained == {"high_reading": wanted_version}
    champion = Ledger(meters.settings.ledger_url).champion("high_reading")
    assert champion is not None
    assert champion.version == wanted_version
    assert all(path_of(meters.settings, "readings", name).is_file() for name in made.names)

    (source,) = [one for one in declared_sources(meters.settings.project) if one.name == "readings"]
    assert list(recalled_files(meters.settings, source)) == [bad]
    assert pending(meters.settings, source) == []
    assert meters.due() == ()
    n = len(Ledger(meters.settings.ledger_url).history("high_reading", *CROWNING))
    execute_recall(Voice(as_json=True), meters.settings, file, "again", runs(meters))
    assert len(Ledger(meters.settings.ledger_url).history("high_reading", *CROWNING)) == n


def test_the_only_file_of_a_day_goes_though_every_champion_was_made_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left to go back to, and the gate refuses what is trained again: too few days to compare."""
    split = {"train_until": day(3).isoformat(), "test_from": day(4).isoformat()}
    gate = {"floor": {"roc_auc": 0.0}, "against_champion": {"metric": "roc_auc", "rule": "better"}}
    never = world(tmp_path / "never", monkeypatch)
    never.model = {**MODEL, "split": split, "gate": gate}
    (never.settings.landing / "readings" / f"{day(2)}.csv").unlink()
    wanted_version, _ = trained(never)

    meters = world(tmp_path / "came", monkeypatch)
    meters.model = never.model
    was, _ = trained(meters)
    file = found(meters, meters.settings.landing / "readings" / f"{day(2)}.csv")
    recall_it(meters, file, runs(meters))

    assert raw_rows(meters) == raw_rows_of(never, meters, monkeypatch)
    assert published(meters) == published(never)
    ledger = Ledger(meters.settings.ledger_url)
    champion = ledger.champion("high_reading")
    assert champion is not None
    assert champion.version == wanted_version
    assert f"not judged beside {was[:12]}, which it reached" in champion.reason
    assert day(2) not in {of for name, of in Computed(meters.settings).files() if name == "readings"}
    assert meters.due() == ()


def test_a_correction_of_reference_data_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model was made from it: none is trained again."""
    meters = world(tmp_path, monkeypatch)
    was, _ = trained(meters)
    good = kinds(meters)
    bad = meters.land("meters", None, ["meter,kind", "m1,new", "m2,new", "m3,new"])
    results = meters.run(*meters.due(), without=["high_reading/bento"])
    assert [failures(result) for result in results] == [""] * len(results)
    assert kinds(meters) != good
    file = found(meters, bad)
    assert "int_kinds" in reach_of(meters.settings, file, meters.code.tables).partitions
    recall_it(meters, file, runs(meters))
    assert kinds(meters) == good
    assert recalls(meters.settings)[file.source, file.sha256].trained == {}
    champion = Ledger(meters.settings.ledger_url).champion("high_reading")
    assert champion is not None
    assert champion.version == was


def kinds(meters: Meters) -> list[Any]:
    with Workshop(meters.settings).turn(), Workshop(meters.settings).connect() as con:
        return con.execute("from intermediate.int_kinds order by all").fetchall()


def test_a_recall_that_was_broken_off_at_any_step_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = world(tmp_path / "never", monkeypatch)
    (never.settings.landing / "readings" / f"{day(2)}.csv").unlink()
    wanted_version, _ = trained(never)
    meters = world(tmp_path / "came", monkeypatch)
    was, _ = trained(meters)
    file = found(meters, meters.settings.landing / "readings" / f"{day(2)}.csv")
    ledger, steps = Ledger(meters.settings.ledger_url), runs(meters)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    def failing(*_: object) -> None:
        raise Failed("no room")

    for step in ("set_aside", "reconsider", "_mark"):
        place = recalled if step == "set_aside" else recalling
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(place, step, broken)
            recall_it(meters, file, steps)
    with pytest.raises(KeyboardInterrupt):
        recall_it(meters, file, replace(steps, build=broken))
    with pytest.raises(RecallUnfinished, match="no room"):
        recall_it(meters, file, replace(steps, build=failing))
    champion = ledger.champion("high_reading")
    assert champion is not None
    assert champion.version == was
    with pytest.raises(KeyboardInterrupt):
        recall_it(meters, file, replace(steps, train=broken))
    recall_it(meters, file, steps)
    champion = ledger.champion("high_reading")
    assert champion is not None
    assert champion.version == wanted_version
    assert published(meters) == published(never)


def recall_it(meters: Meters, file: Found, steps: Runs) -> None:
    execute_recall(Voice(as_json=True), meters.settings, file, "a meter was moved", steps)


def raw_rows_of(other: Meters, back_to: Meters, patch: pytest.MonkeyPatch) -> list[Any]:
    here(other, patch)
    try:
        return raw_rows(other)
    finally:
        here(back_to, patch)
