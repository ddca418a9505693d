"""dbt, warm and in this process: one parse, then as many invocations as a run needs.

Which tables exist and what they mean is the dbt project's; turning results into Dagster events is the
component's. A process a model would cost 5 CPU-seconds each, an invocation here costs a quarter of one.
"""

import fcntl
import json
import os
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ml.errors import TablesNotBuilt
from ml.settings import Settings

# dbt's own manifest by project and home: runs need it, and making it again costs a CPU-second.
_PARSED: dict[tuple[Path, Path], Any] = {}
_ONE_AT_A_TIME = threading.RLock()  # dbt keeps its flags and adapters in module globals


@dataclass(frozen=True)
class NodeResult:
    """What dbt did with one table or test."""

    unique_id: str
    status: str
    seconds: float
    message: str
    failures: int | None

    @property
    def is_good(self) -> bool:
        return self.status in {"success", "pass", "warn"}


@dataclass(frozen=True)
class DbtRunner:
    """The dbt project of one `Settings`; its manifest and logs live under the home folder.

    Whoever builds or compiles holds the workshop's turn: dbt opens its file.
    """

    settings: Settings

    @property
    def project_dir(self) -> Path:
        return self.settings.project / "dbt_project"

    @property
    def _place(self) -> tuple[Path, Path]:
        return self.settings.project, self.settings.home

    @property
    def target(self) -> Path:
        return self.settings.home / "dbt"

    @property
    def manifest_path(self) -> Path:
        return self.target / "manifest.json"

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The project's manifest as plain JSON, parsed anew only when a file of the project is newer."""
        self.target.mkdir(parents=True, exist_ok=True)
        with (self.target / ".parse.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_fresh():
                self._parse()
        loaded: dict[str, Any] = json.loads(self.manifest_path.read_text())
        return loaded

    def zones(self) -> tuple[str, ...]:
        """The time zone that most local times of the project are in, as its variable `usual_zone` says."""
        declared = yaml.safe_load((self.project_dir / "dbt_project.yml").read_text()).get("vars") or {}
        return (str(declared["usual_zone"]),) if "usual_zone" in declared else ()

    def build(
        self,
        tables: Sequence[str],
        *,
        first_day: str,
        last_day: str,
        anew: bool = False,
        unit_tests: Collection[str] = (),
    ) -> Iterator[NodeResult]:
        """Build and test the named tables for the days from `first_day` to `last_day`, both included.

        `anew` drops what the tables held, which other columns or types need. Of the unit tests only those
        whose ids are named run, each before its table.
        """
        args = ["build", "--select", *tables, "--vars", _vars(start_day=first_day, end_day=last_day)]
        refresh = ["--full-refresh"] if anew else []
        others = [
            f"unit_test:{id_.split('.')[-1]}" for id_ in self.manifest["unit_tests"] if id_ not in unit_tests
        ]
        left_out = ["--exclude", *others] if others else []
        without = left_out if unit_tests else ["--exclude-resource-type", "unit_test"]
        yield from self._invoke([*args, *refresh, *without])

    def unit_test(self) -> Iterator[NodeResult]:
        """Run the unit tests that stand beside the tables."""
        yield from self._invoke(["test", "--select", "test_type:unit"])

    def online_sql(self, table: str) -> str:
        """The feature table's SQL as the endpoint runs it: the same file, over a request."""
        nodes = self.compiled(table, execution="online")
        return next(str(node.compiled_code) for node in nodes if node.name == table)

    def compiled(self, *select: str, **variables: str) -> list[Any]:
        """dbt's nodes with their `compiled_code`, upstream first, for these variables."""
        results = self._run(["compile", "--select", *select, "--vars", _vars(**variables)])
        return [result.node for result in results]

    def compiled_apart(self, *select: str, **variables: str) -> dict[str, str]:
        """SQL by node id, compiled beside an empty database, without a turn; nodes that fail are left out."""
        with tempfile.TemporaryDirectory(dir=self.target) as folder:
            place = replace(self.settings, home=Path(folder))
            args = ["compile", "--select", *select, "--vars", _vars(**variables)]
            results = self._run([*args, "--no-populate-cache"], place)
        compiled = {
            result.node.unique_id: result.node.compiled_code for result in results if _compiles(result)
        }
        return {unique_id: sql for unique_id, sql in compiled.items() if sql}

    def compiled_text(self, sql: str, **variables: str) -> str:
        """SQL that is no table's, with the project's macros and names filled in for these variables."""
        (result,) = self._run(["compile", "--inline", sql, "--vars", _vars(**variables)])
        return str(result.node.compiled_code)

    def _invoke(self, args: list[str]) -> Iterator[NodeResult]:
        for result in self._run(args):
            yield NodeResult(
                unique_id=result.node.unique_id,
                status=str(result.status),
                seconds=result.execution_time,
                message=str(result.message or ""),
                failures=result.failures,
            )

    def _run(self, args: list[str], place: Settings | None = None) -> Sequence[Any]:
        with _ONE_AT_A_TIME:
            if self._place not in _PARSED:
                _PARSED[self._place] = self._parsed()
            _forget_compiled(_PARSED[self._place])
            outcome = self._invoke_dbt(_PARSED[self._place], [*args, "--no-write-json"], place)
        if outcome.result is None:
            raise TablesNotBuilt(command=args[0], cause=str(outcome.exception or "dbt gave no result"))
        return list(outcome.result.results)

    def _parse(self) -> None:
        outcome = self._invoke_dbt(None, ["parse"])
        if not outcome.success:
            raise TablesNotBuilt(command="parse", cause=str(outcome.exception))
        _PARSED[self._place] = outcome.result
        self.manifest_path.touch()

    def _parsed(self) -> Any:
        """dbt's own manifest: what the last parse kept, which takes a fifth of parsing anew."""
        from dbt.contracts.graph.manifest import Manifest
        from dbt.version import __version__

        kept = self.target / "partial_parse.msgpack"
        if self._is_fresh() and kept.exists():
            manifest = Manifest.from_msgpack(kept.read_bytes())
            if manifest.metadata.dbt_version == __version__:
                manifest.build_flat_graph()
                return manifest
        self._parse()
        return _PARSED[self._place]

    def _invoke_dbt(self, manifest: Any, args: list[str], place: Settings | None = None) -> Any:
        from dbt.cli.main import dbtRunner  # 2 CPU-seconds: only who runs dbt pays

        home = (place or self.settings).home
        os.environ.update(_environment(home))
        try:
            outcome = dbtRunner(manifest=manifest).invoke([*args, *self._common(home)])
        finally:
            _let_go()
        if isinstance(outcome.exception, KeyboardInterrupt):
            raise outcome.exception  # dbt tells of it as of any failure
        return outcome

    def _common(self, home: Path) -> list[str]:
        here = str(self.project_dir)
        places = ["--project-dir", here, "--profiles-dir", here, "--target-path", str(home / "dbt")]
        return [
            *places,
            "--log-path",
            str(home / "log"),
            "--log-level",
            "none",
            "--log-level-file",
            "info",
            "--no-version-check",
        ]

    def _is_fresh(self) -> bool:
        if not self.manifest_path.exists():
            return False
        made = self.manifest_path.stat().st_mtime
        return all(file.stat().st_mtime <= made for file in _project_files(self.project_dir))


def _project_files(folder: Path) -> Iterator[Path]:
    yield from (f for f in folder.rglob("*") if f.suffix in {".sql", ".yml", ".yaml", ".csv"} and f.is_file())


def _let_go() -> None:
    """Close the workshop and the log, which dbt would keep open, and locked, until the process ends."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt_common.events.event_manager_client import get_event_manager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager._ENV.close()
        DuckDBConnectionManager.close_all_connections()
    for logger in get_event_manager().loggers:
        for handler in logger._python_logger.handlers if logger._python_logger else ():
            handler.close()


def _vars(**values: str) -> str:
    return json.dumps(values)


def _forget_compiled(manifest: Any) -> None:
    """Undo what an invocation left in the kept manifest: dbt would not put ephemeral parents in again."""
    for node in manifest.nodes.values():
        if getattr(node, "extra_ctes_injected", False):
            node.compiled, node.compiled_code = False, None
            node.extra_ctes, node.extra_ctes_injected = [], False


def _compiles(result: Any) -> bool:
    return str(result.status) in {"success", "pass"}


def _environment(home: Path) -> Mapping[str, str]:
    return {
        "HEADWATER_WORKSHOP": str(home / "workshop.duckdb"),
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
