"""What a candidate is asked before it is promoted: the last requests, and past rows over HTTP of its Bento.

What is compared is `ml.replay`'s and `ml.parity`'s, how the Bento is served `ml.candidate_server`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from assets.dbt_nodes import Node
from assets.resources import Platform
from ml import gate, packaging
from ml.bundle import Bundle
from ml.candidate_server import serve
from ml.coming import as_json_value
from ml.feature_definition import FeatureDefinition, spine_relation
from ml.lake.published import Edition
from ml.online import OnlineStore
from ml.online_plan.coverage import covered_from
from ml.online_plan.kinds import Kind, of_arrow
from ml.online_plan.plan import compile_plan
from ml.parity import Fault, Parity, compare
from ml.replay import Replay
from ml.verification import read

_TIME = "prediction_at"


@dataclass(frozen=True)
class Gauntlet:
    """What a candidate was asked before its promotion; None for what it was not asked."""

    replay: Replay | None = None
    parity: Parity | None = None

    def judged(self, decision: gate.Decision) -> gate.Decision:
        """The decision after it."""
        decision = gate.with_replay(decision, self.replay) if self.replay else decision
        return gate.with_parity(decision, self.parity) if self.parity else decision


def prove(platform: Platform, manifest: Node, definition: FeatureDefinition, bundle: Bundle) -> Parity:
    """Serve the Bento and compare; raises CandidateNotServed, PackagingFailed or what the lake raises."""
    edition = platform.published().edition()
    bento = packaging.pack(platform.settings, bundle, edition, anew=True)
    stale = _stale(bundle, edition, packaging.packed_snapshots(bento))
    if stale:
        return Parity(0, stale)
    requests, offline = _rows(platform, manifest, definition, bundle, edition)
    if not requests:
        return Parity(0, ())
    with serve(platform.settings, bento) as server:
        answers = server.predict(requests)
    return compare(read(bundle), bundle.contract, offline, answers, bundle.declaration.parity)


def _stale(bundle: Bundle, edition: Edition, packed: Mapping[str, int]) -> tuple[Fault, ...]:
    """Online tables that are not those of the newest edition."""
    wanted = {name: edition.snapshots.get(name) for name in bundle.contract.online_tables}
    of = f"edition {edition.id}"
    return tuple(
        Fault(name, "online table", 0, of, f"snapshot {snapshot}", f"snapshot {packed.get(name)}")
        for name, snapshot in wanted.items()
        if packed.get(name) != snapshot
    )


def _rows(
    platform: Platform, manifest: Node, definition: FeatureDefinition, bundle: Bundle, edition: Edition
) -> tuple[list[dict[str, Any]], pa.Table]:
    """Requests, and the offline rows of the same entities at the same times, spread over what is covered."""
    published, key = platform.published(), definition.key
    store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
    first, last = _covered(definition, store)
    columns = ["day", key, _TIME, *(feature.name for feature in bundle.contract.features)]
    days = {} if first is None else {"first_day": first.date()}
    rows = published.read(definition.table, edition=edition, columns=columns, **days)
    rows = rows.sort_by([(_TIME, "ascending"), (key, "ascending")])
    asked = _asked(platform, manifest, definition, sorted(set(rows["day"].to_pylist())))
    pairs = list(zip(rows[key].to_pylist(), rows[_TIME].to_pylist(), strict=True))
    places = [
        n
        for n, (_, at) in enumerate(pairs)
        if pairs[n] in asked and (first is None or at >= first) and (last is None or at <= last)
    ]
    wanted = min(bundle.declaration.parity.requests, len(places))
    chosen = [places[int(n)] for n in np.linspace(0, len(places) - 1, wanted)]
    return [asked[pairs[n]] for n in chosen], rows.take(pa.array(chosen, pa.int64()))


def _covered(definition: FeatureDefinition, store: OnlineStore) -> tuple[datetime | None, datetime | None]:
    request: dict[str, Kind] = {column.name: column.kind for column in definition.request}
    tables = {
        name: {field.name: of_arrow(field.type) for field in rows.schema} for name, rows in store.rows.items()
    }
    asked: dict[str, Kind] = request | {"request_row": "integer"}
    plan = compile_plan(definition.table, definition.online_sql, asked, tables)
    first = covered_from(plan, {table.name: table.oldest for table in store.tables})
    return _naive(first), _naive(store.as_of)


def _asked(
    platform: Platform, manifest: Node, definition: FeatureDefinition, days: list[Any]
) -> dict[tuple[Any, datetime], dict[str, Any]]:
    """What a request carries, by key and time."""
    if not days:
        return {}
    names = [column.name for column in definition.request]
    listed = ", ".join(f'"{name}"' for name in (definition.key, _TIME, *names))
    relation = spine_relation(manifest, definition.table)
    workshop = platform.workshop()
    with workshop.turn(), workshop.connect() as con:
        found = con.execute(
            f"select {listed} from {relation} where day between ? and ?", [days[0], days[-1]]
        ).fetchall()
    return {
        (key, at): {name: as_json_value(value) for name, value in zip(names, values, strict=True)}
        for key, at, *values in found
    }


def _naive(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None)
