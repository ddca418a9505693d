"""Features of a request: compiled to Python over sorted arrays, beside DuckDB running the same SQL.

The flights' SQL over the real online tables, the same requests, in turn in one process; values are compared.
"""

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import process_time

from benchmarks.measure import show
from benchmarks.serving.world import built, sized
from ml.coming import as_instances, coming
from ml.lake.published import Published
from ml.online import OnlineStore
from services.features import Asked
from services.serving import Serving

N_COMPILED, N_ASKED, ROUNDS = 2000, 20, 3


def main() -> None:
    """Rows one at a time, as requests come."""
    with tempfile.TemporaryDirectory() as folder:
        settings = built(Path(folder) / "project")
        bundle, published = sized(settings, 10), Published(settings)
        edition = published.edition()
        store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
        serving = Serving.assemble(bundle, store, 10_000, timedelta(days=30))
        body = {"instances": as_instances(bundle.contract, coming(published, edition, bundle))[:N_COMPILED]}
        rows = serving.schema.decode(json.dumps(body).encode())
        asked = Asked.prepared(bundle.contract, bundle.feature_sql, store, "to compare")
        ours, theirs = [], []
        for n in range(ROUNDS):
            began = process_time()
            compiled = [serving.features.of([row])[0] for row in rows]
            between = process_time()
            some = rows[n * N_ASKED : (n + 1) * N_ASKED]
            oracle = [asked.of([row])[0] for row in some]
            ours.append((between - began) / len(rows))
            theirs.append((process_time() - between) / len(some))
            same = [list(map(repr, row)) for row in compiled[n * N_ASKED : (n + 1) * N_ASKED]]
            assert same == [list(map(repr, row)) for row in oracle]
    mine, duckdb = 1e6 * median(ours), 1e6 * median(theirs)
    figures = {"columns": len(serving.features.names), "compiled, CPU µs a row": mine}
    show(
        f"lookups_online: median of {ROUNDS}",
        [figures | {"DuckDB, CPU µs a row": duckdb, "times as fast": duckdb / mine, "values that differ": 0}],
    )
