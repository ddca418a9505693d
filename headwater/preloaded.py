"""What every run needs of libraries, imported: a run that is forked from a process with it starts warm.

Only libraries: the project's own code is loaded by each run anew.
"""

from importlib import import_module

LIBRARIES = (
    "dagster._grpc.impl",
    "dagster._core.execution.plan.active",
    "dagster._core.instance.factory",
    "dagster._core.op_concurrency_limits_counter",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._daemon.controller",
    "dagster.components.core.snapshot",
    "dagster_dbt",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "dbt.adapters.duckdb.environments.local",
    "dbt.task.build",
    "dbt_common.clients.agate_helper",
    "fsspec",
    "psutil",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pyiceberg.avro.decoder_fast",
    "pyiceberg.catalog.sql",
    "pyiceberg.io.pyarrow",
    "rich",
    "sqlglot.dialects.duckdb",
    "sqlglot.lineage",
    "structlog",
    "tomlkit",
    "upath",
)
# dbt makes a schema of each of these when it first reads a file of its kind: half a CPU-second in all.
DBT_FILES = {
    "dbt.contracts.project": ("ProjectFlags", "ProfileConfig", "Project", "PackageConfig", "Configuration"),
    "dbt.contracts.selection": ("SelectorFile",),
    "dbt.adapters.duckdb.credentials": ("DuckDBCredentials",),
}

for library in LIBRARIES:
    import_module(library)
for library, kinds in DBT_FILES.items():
    for kind in kinds:
        getattr(import_module(library), kind).json_schema()
