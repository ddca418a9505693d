"""A declared source as assets: the files that arrive, and the rows taken in from them, by day.

What a file must look like is the declaration's; reading and storing it is `ml.sources`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg

from assets.calendar import ONE_RUN, fresh, partitions_of
from assets.components.source_checks import check_results, check_specs, day_metadata
from assets.keys import PREDICTIONS_TAG, landing_key, raw_key
from assets.resources import Platform
from ml.prediction_log.landing import land_predictions
from ml.settings import Settings
from ml.sources import Intake, Source, failures, take_in
from ml.sources.landed import recalled_files
from ml.sources.quarantine import Report, report

FILES_CHECK = "landed_files"


class LandedSource(dg.Component):
    """Files of one kind that land in a folder; `attributes` are the source's declaration."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @classmethod
    def get_model_cls(cls) -> type[Source]:
        return Source

    @classmethod
    def load(cls, attributes: Source | None, context: dg.ComponentLoadContext) -> "LandedSource":
        given = attributes.model_dump() if attributes else {}
        return cls(Source.declare(given, str(context.path / "defs.yaml")))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        days = partitions_of(self.source, Settings.from_env())
        return dg.Definitions(assets=[_landing(self.source, days), _raw(self.source, days)])


def _landing(source: Source, days: dg.PartitionsDefinition | None) -> dg.AssetSpec:
    """The files themselves: they arrive by themselves, so nothing here makes them."""
    return dg.AssetSpec(
        landing_key(source.name),
        description=f"Files as they arrive in `landing/{source.name}/`. {source.description}",
        group_name="landing",
        owners=list(source.owners),
        kinds={source.format.type},
        partitions_def=days,
    )


def _raw(source: Source, partitions: dg.PartitionsDefinition | None) -> dg.AssetsDefinition:
    @dg.asset(
        key=raw_key(source.name),
        deps=[landing_key(source.name), *(raw_key(lookup.source) for lookup in source.lookups)],
        description=f"{source.description} Append-only; a row knows its file and when it was known.",
        group_name="raw",
        owners=list(source.owners),
        kinds={"duckdb"},
        tags={"cadence": source.cadence, **({PREDICTIONS_TAG: "true"} if source.predictions_of else {})},
        partitions_def=partitions,
        backfill_policy=ONE_RUN if partitions else None,
        freshness_policy=fresh(source.every_days) if partitions else None,
        check_specs=[_sound_spec(source), *check_specs(source)],
        code_version=source.digest()[:12],
        metadata={"dagster/column_schema": _schema(source)},
    )
    def raw(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[Any]:
        days = context.partition_key_range if partitions else None
        if source.predictions_of and days:
            first, last = date.fromisoformat(days.start), date.fromisoformat(days.end)
            land_predictions(platform.settings, source, first, last)
        files = _files(platform.settings, source, days)
        intake = take_in(platform.workshop(), platform.settings, source, files)
        recalled = recalled_files(platform.settings, source)
        yield dg.AssetCheckResult(**sound_files(source, failures(platform.settings, source), recalled))
        shown = _report(platform, source, days)
        yield from check_results(source, shown)
        for day in shown.days:
            context.add_asset_metadata(
                day_metadata(day, shown.sample), partition_key=str(day.day) if partitions else None
            )
        yield _taken_in(intake.raise_failed())

    return raw


def _report(platform: Platform, source: Source, days: dg.PartitionKeyRange | None) -> Report:
    first = date.fromisoformat(days.start) if days else None
    last = date.fromisoformat(days.end) if days else None
    workshop = platform.workshop()
    with workshop.turn(), workshop.connect() as con:
        return report(con, source, first, last)


def _sound_spec(source: Source) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        FILES_CHECK,
        asset=raw_key(source.name),
        description="No landed file is refused; a refused one stays where it is, and other days go on.",
    )


def sound_files(
    source: Source, refused: Mapping[Path, str], recalled: Mapping[Path, str] = MappingProxyType({})
) -> dict[str, Any]:
    """The check's outcome as arguments: passed, or every refused file with its reason; recalled ones told."""
    return {
        "asset_key": raw_key(source.name),
        "check_name": FILES_CHECK,
        "passed": not refused,
        "severity": dg.AssetCheckSeverity.ERROR,
        "metadata": {
            "refused": len(refused),
            **({"recalled": len(recalled)} if recalled else {}),
            **{path.name: message for path, message in {**recalled, **refused}.items()},
        },
    }


def _files(settings: Settings, source: Source, days: dg.PartitionKeyRange | None) -> Iterator[Path]:
    """Landed files of the days; without days, every file in the source's folder."""
    for file in sorted((settings.landing / source.name).glob(f"*.{source.format.type}")):
        if days is None or days.start <= file.stem <= days.end:
            yield file


def _taken_in(intake: Intake) -> dg.MaterializeResult:
    """What there is to show, and a data version that only other bytes change."""
    files = sorted((*intake.taken, *intake.unchanged), key=lambda file: file.path)
    digest = hashlib.sha256("".join(file.source_file_id for file in files).encode()).hexdigest()
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest[:16]),
        metadata={
            "files_new": len(intake.taken),
            "files_unchanged": len(intake.unchanged),
            "newest_file": files[-1].path.name if files else "none landed",
            "newest_sha256": files[-1].source_file_id if files else "",
        },
    )


def _schema(source: Source) -> dg.TableSchema:
    """The raw table's columns; those that raw adds stand last."""
    described = {column.name: column.description for column in source.columns}
    columns = [
        dg.TableColumn(name, type_, description=described.get(name))
        for name, type_ in source.raw_columns().items()
    ]
    return dg.TableSchema(columns=columns)
