"""One answer walked down to what it was made from: score, features, model, training rows, SQL, raw files.

Each step is verified where it can be: hashes held against bytes, values computed again and compared to the
bit. Nothing is changed. How people are told is the caller's matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

import pyarrow as pa

from ml import canonical
from ml.answers_again import feature_fault, score_fault
from ml.bundle import Bundle
from ml.canonical import digest
from ml.errors import HeadwaterError
from ml.lake.published import Edition, Published
from ml.ledger import Ledger
from ml.ledger_reading import CROWNING
from ml.online import OnlineStore
from ml.prediction_log.reading import find
from ml.provenance import FILE
from ml.registry import Registry
from ml.reproduction import Reproduction, reproduction
from ml.settings import Settings
from ml.sources import kept

Verdict = Literal["verified", "failed", "not checked"]
_SQL_SHA256 = "feature_sql_sha256"
_BEHIND = "files behind the features"


@dataclass(frozen=True)
class Step:
    """One thing an answer rests on: what it is, what names it, whether it is as it was, and why if not."""

    what: str
    name: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class AnswerReceipt:
    """An answer, and the steps down from it; `answer` says when, what was asked and what was told."""

    answer_id: str
    answer: Mapping[str, Any]
    steps: tuple[Step, ...]

    @property
    def is_verified(self) -> bool:
        """Whether nothing was found to be other than it was."""
        return all(step.verdict != "failed" for step in self.steps)


def receipt_of(settings: Settings, answer_id: str) -> AnswerReceipt:
    """Walk an answer of this project; raises AnswerIdMalformed or AnswerNotLogged."""
    rows = find(settings.prediction_log, answer_id)
    return AnswerReceipt(answer_id, _answer(rows), tuple(_steps(settings, rows)))


def _steps(settings: Settings, rows: pa.Table) -> Iterator[Step]:
    model, version = rows["model"][0].as_py(), rows["version"][0].as_py()
    try:
        bundle = Registry(settings.registry).get(model, version)
    except HeadwaterError as failure:
        yield Step("model", f"{model} {version}", "failed", str(failure))
        return
    fault = score_fault(bundle, rows)
    name = f"of {rows.num_rows} rows"
    yield (
        Step("score", name, "failed", fault)
        if fault
        else Step("score", name, "verified", "computed again from the logged features")
    )
    yield from _features(settings, bundle, rows)
    yield Step("model", f"{model} {version}", "verified", "all its files have the digests that name it")
    yield _crowned(settings, bundle)
    yield _sql(bundle)
    if FILE not in bundle.files:
        yield Step("training rows", model, "not checked", "the model does not say what it was made from")
        return
    with reproduction(settings, bundle, is_kept=True) as made:
        yield from _training(made)
        yield from _files(made)


def _features(settings: Settings, bundle: Bundle, rows: pa.Table) -> Iterator[Step]:
    """The logged features against DuckDB's, over the online tables as they were then."""
    number = rows["edition"][0].as_py()
    name = f"edition {number} of the lake"
    if rows["route"][0].as_py() != "predict":
        yield Step("features", "given by the caller", "not checked", "they were part of the request")
        return
    try:
        published = Published(settings)
        edition = published.edition(number)
        store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
    except HeadwaterError as gone:
        yield Step("features", name, "not checked", f"its online tables are kept no more: {gone}")
        return
    except FileNotFoundError as gone:
        yield Step("features", name, "not checked", f"its online tables are kept no more: {gone}")
        return
    fault = feature_fault(bundle, store, rows)
    same = "computed again by their SQL over the same online tables"
    yield Step("features", name, "failed", fault) if fault else Step("features", name, "verified", same)
    yield _behind(settings, bundle, edition)


def _behind(settings: Settings, bundle: Bundle, edition: Edition) -> Step:
    """The raw files that the online tables can be from: those taken in before the edition was published."""
    at = edition.at.astimezone(UTC).replace(tzinfo=None) if edition.at.tzinfo else edition.at
    n_files, names = 0, []
    for source in sorted(_sources(bundle)):
        for day in kept.days_kept(settings, source):
            counted = [one for one in kept.versions(settings, source, day) if one.loaded_at <= at]
            if not counted:
                continue
            n_files += 1
            names.append(f"{source}/{kept.name_of(counted[-1])}")
            path = kept.path_of(settings, source, counted[-1])
            if kept.sha256_of(path) != counted[-1].sha256:
                return Step(
                    "files behind the features", str(path), "failed", "its bytes are not those taken in"
                )
    name = f"{n_files} files taken in before edition {edition.id}, {digest(chr(10).join(names))[:12]}"
    return Step("files behind the features", name, "verified", "each has the SHA-256 it was taken in with")


def _crowned(settings: Settings, bundle: Bundle) -> Step:
    entries = Ledger(settings.ledger_url).history(bundle.model)
    crowned = [one for one in entries if one.kind in CROWNING and one.version == bundle.version]
    if not crowned:
        return Step("promotion", bundle.version[:12], "failed", "the ledger never made it champion")
    last = crowned[-1]
    return Step(
        "promotion", f"ledger entry {last.entry}", "verified", f"{last.kind} {last.at:%Y-%m-%d %H:%M}Z"
    )


def _sql(bundle: Bundle) -> Step:
    recorded, found = str(bundle.receipt.get(_SQL_SHA256)), digest(bundle.feature_sql)
    if recorded == found:
        return Step("feature SQL", found[:12], "verified", "it is what the model's receipt names")
    return Step("feature SQL", found[:12], "failed", f"the model's receipt names {recorded[:12]}")


def _training(made: Reproduction) -> Iterator[Step]:
    manifest = made.provenance.origins.manifest
    n_faults = len(made.faults)
    for table, (n_same, n_days) in made.read_snapshot().items():
        name = f"{n_days} days of {table}, edition {manifest.edition_id}"
        if n_same == n_days:
            yield Step("training rows", name, "verified", "each day's rows have their recorded hash")
    for fault in made.faults[n_faults:]:
        yield Step("training rows", fault.name, "failed", str(fault))
    yield _training_sql(made)


def _training_sql(made: Reproduction) -> Step:
    sql = made.provenance.origins.sql
    name = f"{len(sql.tables)} tables, {sql.sha256[:12]}"
    found = canonical.digest(canonical.dumps(sql.tables))
    if found == sql.sha256:
        return Step("training SQL", name, "verified", "its text has the recorded digest")
    return Step("training SQL", name, "failed", f"its text has digest {found[:12]}")


def _files(made: Reproduction) -> Iterator[Step]:
    n_faults = len(made.faults)
    made.check_files()
    faults = made.faults[n_faults:]
    for source, names in made.provenance.origins.ground.files.items():
        if not any(fault.name.partition(" ")[0] == source for fault in faults):
            yield Step("raw files", f"{len(names)} of {source}", "verified", "each has its recorded SHA-256")
    for fault in faults:
        yield Step("raw files", fault.name, "failed", str(fault))


def _answer(rows: pa.Table) -> dict[str, Any]:
    first = rows.slice(0, 1).to_pylist()[0]
    return {
        "answered_at": first["answered_at"].replace(tzinfo=UTC),
        "route": first["route"],
        "model": first["model"],
        "version": first["version"],
        "edition": first["edition"],
        "request": first["request"].decode(errors="replace"),
        "scores": rows["score"].to_pylist(),
    }


def _sources(bundle: Bundle) -> set[str]:
    from ml.provenance import Provenance

    if FILE not in bundle.files:
        return set()
    return set(Provenance.from_json(bundle.files[FILE]).origins.ground.files)
