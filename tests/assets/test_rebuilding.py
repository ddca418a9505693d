"""Five generations of a model, each made again to the bit after data and code have moved on.

By the command line's own function; every input that is damaged afterwards is named.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headwater.cli import main
from ml import gathering
from ml.canonical import digest
from ml.lake.workshop import Workshop
from ml.provenance import FILE, Provenance, pin
from ml.registry import Registry
from ml.reproduction import reproduction
from ml.sources import declared_sources, take_in
from tests.assets.meters import HOURS, MODEL, Meters, day, failures
from tests.assets.meters_declared import ANY_REPLAY

SUMS, LABELS = "models/intermediate/int_meter_sums.sql", "models/labels/reading_labels.sql"
COLUMNS = ["meter_id", "watts_sum_2d"]
GATE = {
    "floor": {"roc_auc": 0.0},
    "against_champion": {"metric": "roc_auc", "max_drop": 1},
    "replay": ANY_REPLAY,
}
SEARCH = {
    "metric": "log_loss",
    "space": {"learning_rate": {"low": 0.01, "high": 0.4}},
    "trials": 3,
    "holdout_days": 2,
}
LOCK = "lightgbm==1\n"
N_DAYS = 6
N_ROWS = 2 * len(HOURS)


@dataclass(frozen=True)
class Generations:
    """The project, and the versions that were champion, oldest first."""

    meters: Meters
    versions: tuple[str, ...]
    shown: dict[str, Any]

    def rebuild(self, version: str) -> tuple[int, dict[str, Any]]:
        """Exit code and facts of the command."""
        told = CliRunner().invoke(main, ["rebuild", version[:16], "--json"])
        assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
        return told.exit_code, json.loads(told.stdout)

    def provenance(self, version: str) -> Provenance:
        """What a version says it was made from."""
        bundle = Registry(self.meters.settings.registry).get("high_reading", version)
        return Provenance.from_json(bundle.files[FILE])


def trained(meters: Meters) -> tuple[str, dict[str, Any]]:
    """The version that is champion after everything that is due was run, and what `candidate` shows of it."""
    results = meters.run(*meters.due(), without=["high_reading/bento"])
    assert [failures(result) for result in results] == [""] * len(results)
    champion = json.loads((meters.settings.home / "values" / "high_reading" / "champion.json").read_text())
    (shown,) = results[-1].asset_materializations_for_node("high_reading__candidate")
    return str(champion["version"]), dict(shown.metadata)


@pytest.fixture(scope="module")
def generations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generations]:
    """Days arrive, one is corrected late, and later is as it was; SQL and declaration change."""
    with pytest.MonkeyPatch.context() as patch:
        meters = Meters(tmp_path_factory.mktemp("meters"), patch)
        meters.model = {**MODEL, "gate": GATE}
        (meters.settings.project / "requirements.lock").write_text(LOCK)
        for n in range(N_DAYS):
            meters.land_readings(day(n))
        made = [trained(meters)]

        meters.land_readings(day(3), more=1)  # a late correction
        meters.land_readings(day(N_DAYS))
        made.append(trained(meters))

        meters.edit(SUMS, "{{ summed('watts') }} as", "{{ summed('watts') }} * 2 as")
        meters.land_readings(day(3))  # as it was at first, again
        meters.land_readings(day(N_DAYS + 1))
        made.append(trained(meters))

        engine = {**MODEL["engine"], "seed": 2, "parameters": {"num_iterations": 7, "min_data_in_leaf": 3}}
        meters.model |= {"engine": engine, "features": {**MODEL["features"], "columns": COLUMNS}}
        meters.model |= {"search": SEARCH}
        meters.land("meters", None, ["meter,kind", "m1,new", "m2,new"])
        meters.land_readings(day(N_DAYS + 2))
        made.append(trained(meters))

        meters.edit(LABELS, "watts % 3 = 0", "watts % 7 = 3")
        meters.land_readings(day(N_DAYS + 3), more=2)
        made.append(trained(meters))
        versions = tuple(version for version, _ in made)
        assert len(set(versions)) == 5
        yield Generations(meters, versions, made[-1][1])


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file, but for what SQLite makes beside a file that is read."""
    files = (file for file in folder.rglob("*") if not file.name.endswith(("-wal", "-shm")))
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()}


@pytest.mark.parametrize("n", range(5))
def test_every_generation_is_made_again_to_the_bit(
    generations: Generations, n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = state(generations.meters.settings.home)

    code, told = generations.rebuild(generations.versions[n])

    assert state(generations.meters.settings.home) == before
    assert list(tmp_path.iterdir()) == []
    assert told["faults"] == []
    assert told["changes"] == []
    assert (code, told["is_equal"], told["version"]) == (0, True, generations.versions[n])
    assert all(of["recorded"] == of["rebuilt"] for of in told["digests"].values())
    assert set(told["digests"]) == {"trees", "predictions", "version"}


def test_the_candidate_shows_what_it_was_made_from(generations: Generations) -> None:
    version = generations.versions[-1]
    origins = generations.provenance(version).origins
    named = {str(one.data["input"]): one.data["named by"] for one in generations.shown["receipt"].records}
    assert named["requirements.lock"] == digest(LOCK)
    assert named[f"edition {origins.manifest.edition_id} of the lake"]
    assert named[f"{len(origins.ground.files['readings'])} files of readings"]
    assert named[f"SQL of {len(origins.sql.tables)} tables"] == origins.sql.sha256
    assert {"lightgbm", "duckdb", "machine", "commit", "reading_labels, 10 days"} <= named.keys()
    assert generations.shown["rebuild"].value == f"headwater rebuild {version[:12]}"


def told_of(told: dict[str, Any], kind: str, of: str = "faults") -> str:
    """What the command tells of an input of a kind."""
    (found,) = [one["text"] for one in told[of] if one["kind"] == kind]
    return str(found)


@contextmanager
def flipped(file: Path) -> Iterator[None]:
    """One bit of a file the other way, for a while."""
    sound = file.read_bytes()
    file.write_bytes(sound[:-3] + bytes([sound[-3] ^ 1]) + sound[-2:])
    yield
    file.write_bytes(sound)


def test_a_flipped_byte_of_a_raw_file_is_named_and_the_snapshot_still_gives_the_model(
    generations: Generations,
) -> None:
    version = generations.versions[1]
    (file,) = [
        name
        for name in generations.provenance(version).origins.ground.files["readings"]
        if name.startswith(str(day(4)))
    ]
    kept = generations.meters.settings.home / "files" / "readings" / file
    with flipped(kept):
        code, told = generations.rebuild(version)

    assert code == 1
    damaged = told_of(told, "file")
    assert f"readings {day(4)}: recorded SHA-256 {file[-68:-4]}, found SHA-256 " in damaged
    assert str(kept) in damaged
    assert told["is_equal"]
    assert "on rows from the pinned snapshot; not from raw" in told["outcome"]
    assert [str(day(4))] == min(one["days"] for one in told["faults"] if one["kind"] == "table")[:1]


def test_another_version_of_a_library_and_another_lock_are_named(
    generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = gathering.version
    monkeypatch.setattr(gathering, "version", lambda name: "0.1" if name == "duckdb" else real(name))
    lock = generations.meters.settings.project / "requirements.lock"
    lock.write_text("lightgbm==2\n")

    code, told = generations.rebuild(generations.versions[2])

    lock.write_text(LOCK)
    assert (code, told["is_equal"]) == (0, True)
    assert f"duckdb: recorded {real('duckdb')}, found 0.1" in told_of(told, "library", "changes")
    assert f"recorded SHA-256 {digest(LOCK)}, found SHA-256 " in told_of(told, "lock", "changes")


def test_a_snapshot_that_is_gone_is_named_and_raw_still_gives_the_model(generations: Generations) -> None:
    version, published = generations.versions[0], generations.meters.published
    edition = generations.provenance(version).origins.manifest.edition_id
    published.untag(pin("high_reading", version))
    published.expire(timedelta(0), 1)

    code, told = generations.rebuild(version)

    assert code == 1
    assert f"snapshot of edition {edition}: recorded reading_features " in told_of(told, "snapshot")
    assert told["is_equal"]
    assert "on rows from raw; not from the pinned snapshot" in told["outcome"]
    assert generations.rebuild(generations.versions[1])[0] == 0

    file = min((generations.meters.settings.home / "files" / "readings" / str(day(1))).iterdir())
    with flipped(file):
        code, told = generations.rebuild(version)
    assert (code, told["is_equal"]) == (1, False)
    assert "its rows are lost" in told["outcome"]
    assert f"readings {day(1)}" in told_of(told, "file")
    assert told_of(told, "snapshot")


def test_a_version_is_named_by_its_beginning(generations: Generations) -> None:
    run = CliRunner()
    unknown = run.invoke(main, ["rebuild", "zzz"])
    assert unknown.exit_code == 1
    assert "No version in" in unknown.output
    several = run.invoke(main, ["rebuild", ""])
    assert several.exit_code == 1
    assert all(version[:12] in several.output for version in generations.versions)


def test_what_was_taken_in_and_not_computed_yet_is_left_out(generations: Generations) -> None:
    made = generations.provenance(generations.versions[1])
    assert Provenance.from_json(made.to_json()) == made
    files = made.origins.ground.files["readings"]
    first, corrected = (name for name in files if name.startswith(str(day(3))))
    counted = tuple(name for name in files if name != corrected)
    ground = replace(made.origins.ground, files={"readings": counted}, uncounted={"readings": (corrected,)})
    changed = replace(made, origins=replace(made.origins, ground=ground))

    bundle = Registry(generations.meters.settings.registry).get("high_reading", generations.versions[1])
    with reproduction(generations.meters.settings, bundle, is_kept=True) as again:
        again.provenance = changed
        assert again.check_files() == len(files)
        assert again.take_in() == len(counted) * N_ROWS
        with Workshop(again.scratch).turn() as turn, turn.connect() as con:
            taken = con.execute("select distinct source_file_id from raw.readings where day = ?", [day(3)])
            assert taken.fetchall() == [(first[-68:-4],)]


def test_a_correction_that_no_table_is_made_from_yet_is_no_ground(generations: Generations) -> None:
    settings = generations.meters.settings
    (readings,) = (one for one in declared_sources(settings.project) if one.name == "readings")
    file = generations.meters.land_readings(day(1), more=5)
    assert take_in(Workshop(settings), settings, readings, [file]).taken

    ground = gathering.gather(settings, {"readings"})[1]

    newest = generations.provenance(generations.versions[-1]).origins.ground
    assert ground.files == {"readings": newest.files["readings"]}
    assert ground.uncounted == {}
