"""A candidate's Bento asked over HTTP: what equals the offline path is proven, each fault is named."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.bundle import Bundle
from ml.candidate_server import serve
from ml.declared_parity import ParityPlan, Tolerance
from ml.errors import CandidateNotServed
from ml.lake.published import Published
from ml.online import OnlineStore
from ml.packaging import PackedBento, pack
from ml.parity import Parity, compare
from ml.verification import read
from tests.services import toy
from tests.services.project import Project

N = 1000


def instances() -> list[dict[str, Any]]:
    """Past trips of five days, some where nothing was measured."""
    zones = (*toy.ZONES, "nowhere")
    return [
        toy.instance(-n % 96, zone_id=zones[n % 4], driver_id=f"d{n}", passengers=n % 8 + 1) for n in range(N)
    ]


def offline(project: Project, bundle: Bundle, asked: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows that the batch path gives: the same SQL, run by DuckDB over the published table."""
    published = Published(project.settings)
    store = OnlineStore.from_published(published, published.edition(), bundle.contract.online_tables)
    times = [datetime.fromisoformat(str(one["starts_at"])).replace(tzinfo=None) for one in asked]
    columns = {name: [one[name] for one in asked] for name in ("driver_id", "zone_id", "passengers")}
    request = pa.table(
        {
            "request_row": pa.array(range(len(asked)), pa.int32()),
            **columns,
            "starts_at": pa.array(times, pa.timestamp("us")),
        }
    )
    return store.features(request, bundle.feature_sql)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A published table, of which some values are zero."""
    made = Project.in_folder(tmp_path_factory.mktemp("parity"))
    speeds = toy.zone_speed()
    place = speeds.schema.get_field_index("speed_mean_kmh")
    values = [0.0 if n % 7 == 0 else one / 3 for n, one in enumerate(speeds["speed_mean_kmh"].to_pylist())]
    made.publish(speeds.set_column(place, "speed_mean_kmh", pa.array(values)))
    return made


@pytest.fixture
def bento(project: Project, bundles: Mapping[str, Bundle]) -> Iterator[PackedBento]:
    """A freshly packed candidate, to be damaged."""
    bento = pack(project.settings, bundles["first"])
    folders = (bento.path / "src" / name for name in ("bundle", "online"))
    kept = {file: file.read_bytes() for folder in folders for file in folder.iterdir()}
    yield bento
    for file, content in kept.items():
        file.write_bytes(content)


def proven(project: Project, bundle: Bundle, bento: PackedBento, plan: ParityPlan | None = None) -> Parity:
    """Ask and compare."""
    asked = instances()
    with serve(project.settings, bento) as server:
        answers = server.predict(asked)
    return compare(
        read(bundle), bundle.contract, offline(project, bundle, asked), answers, plan or ParityPlan()
    )


def test_a_sound_candidate_is_proven_to_the_bit(
    project: Project, bundles: Mapping[str, Bundle], bento: PackedBento
) -> None:
    found = proven(project, bundles["first"], bento)
    assert found.text == "1,000 requests over HTTP: features and scores equal the offline ones"
    assert found.is_proven


def _sql(old: str, new: str) -> Callable[[Path, Bundle], None]:
    def change(packed: Path, bundle: Bundle) -> None:
        assert old in bundle.feature_sql
        changed = bundle.feature_sql.replace(old, new).encode()
        Bundle({**bundle.files, "features.sql": changed}).write(packed / "bundle")

    return change


def _speed(expression: str) -> Callable[[Path, Bundle], None]:
    return _sql("    speed_mean_kmh\nfrom zone", f"    {expression} as speed_mean_kmh\nfrom zone")


def _coded_anew(packed: Path, bundle: Bundle) -> None:
    contract = bundle.contract
    features = tuple(replace(one, categories=one.categories[::-1]) for one in contract.features)
    changed = replace(contract, features=features).to_json().encode()
    Bundle({**bundle.files, "contract.json": changed}).write(packed / "bundle")


def _stale(packed: Path, _: Bundle) -> None:
    file = packed / "online" / "int_zone_speed.parquet"
    rows = pq.read_table(file)
    place = rows.schema.get_field_index("known_at")
    later = pa.array([one + timedelta(hours=1) for one in rows["known_at"].to_pylist()], pa.timestamp("us"))
    pq.write_table(rows.set_column(place, "known_at", later), file)


def _other_trees(packed: Path, bundle: Bundle) -> None:
    trees = toy.bundle(seed=9).files["trees.txt"]
    # Without the rows that it is tested by when it is loaded: the gate must see it by itself.
    files = {name: content for name, content in bundle.files.items() if name != "samples.json"}
    (packed / "bundle" / "samples.json").unlink()
    Bundle({**files, "trees.txt": trees}).write(packed / "bundle")


SPEED = {"speed_mean_kmh"}
COLUMNS = "    passengers,\n    hour(starts_at) as starts_hour"
IN_NEW_YORK = "hour(timezone('America/New_York', timezone('UTC', starts_at)))"
PLANTED: dict[str, tuple[Callable[[Path, Bundle], None], set[str]]] = {
    "other rounding": (_speed("round(speed_mean_kmh)"), SPEED),
    "zero for null": (_speed("coalesce(speed_mean_kmh, 0)"), SPEED),
    "null for zero": (_speed("nullif(speed_mean_kmh, 0)"), SPEED),
    "a shifted time zone": (_sql("hour(starts_at)", IN_NEW_YORK), {"starts_hour"}),
    "swapped columns": (
        _sql(COLUMNS, "    hour(starts_at) as passengers,\n    passengers as starts_hour"),
        {"passengers", "starts_hour"},
    ),
    "a stale online table": (_stale, SPEED),
    "a category coded anew": (_coded_anew, {"zone_id"}),
    "float32 in between": (_speed("cast(cast(speed_mean_kmh as float) as double)"), SPEED),
    "other trees": (_other_trees, set()),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_fault_is_named_by_its_column(
    project: Project, bundles: Mapping[str, Bundle], bento: PackedBento, what: str
) -> None:
    plant, columns = PLANTED[what]
    plant(bento.path / "src", bundles["first"])
    found = proven(project, bundles["first"], bento)
    assert not found.is_proven
    assert {fault.column for fault in found.faults} - {"score"} == columns
    assert all(fault.n_rows > 0 and fault.column in str(fault) for fault in found.faults)


def test_a_declared_tolerance_is_kept_to(
    project: Project, bundles: Mapping[str, Bundle], bento: PackedBento
) -> None:
    _speed("speed_mean_kmh + 1e-9")(bento.path / "src", bundles["first"])
    lenient = ParityPlan(tolerances={"speed_mean_kmh": Tolerance(within=1e-8, reason="the sensor gives 0.1")})
    assert proven(project, bundles["first"], bento, lenient).is_proven
    strict = ParityPlan(tolerances={"speed_mean_kmh": Tolerance(within=1e-10, reason="the sensor gives 0.1")})
    (fault, *_) = proven(project, bundles["first"], bento, strict).faults
    assert fault.column == "speed_mean_kmh"


def test_a_bento_that_does_not_come_up_is_told_with_its_output(
    project: Project, bundles: Mapping[str, Bundle], bento: PackedBento
) -> None:
    (bento.path / "src" / "bundle" / "trees.txt").write_text("no trees")
    with (
        pytest.raises(CandidateNotServed, match=r"(?s)trees\.txt.*bentoml serve"),
        serve(project.settings, bento),
    ):
        pass


def test_what_the_endpoint_refuses_is_a_fault(
    project: Project, bundles: Mapping[str, Bundle], bento: PackedBento
) -> None:
    bundle, asked = bundles["first"], [toy.instance(), toy.instance(passengers=99)]
    with serve(project.settings, bento) as server:
        answers = server.predict(asked)
    rows = offline(project, bundle, asked)
    (fault,) = compare(read(bundle), bundle.contract, rows, answers, ParityPlan()).faults
    assert "refused with 422" in fault.online
    assert "passengers" in fault.online
