"""`headwater rebuild`: is a version still what its receipt says it was made from?

How it is made again is `ml.reproduction`'s; nothing of the project is changed.
"""

from collections.abc import Mapping
from dataclasses import asdict

from headwater.console import Note, Voice
from ml.differences import Difference
from ml.errors import RebuiltOtherwise
from ml.ledger import Ledger
from ml.registry import Registry
from ml.reproduction import Remade, Reproduction, reproduction
from ml.settings import Settings


def rebuild_version(prefix: str, *, as_json: bool) -> None:
    """Make the one version that begins with `prefix` again, and tell what came of it.

    Raises:
        NoSuchVersion, SeveralVersions, NotReproducible: there is nothing to make again.
        RebuiltOtherwise: it is not the same to the bit, or not all that it was made from is there.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    model, version = Registry(settings.registry).find(prefix)
    bundle = Registry(settings.registry).get(model, version)
    entries = Ledger(settings.ledger_url).history(model)
    is_kept = any(entry.kind == "promoted" and entry.version == version for entry in entries)
    with reproduction(settings, bundle, is_kept=is_kept) as made:
        remade = _steps(voice, made)
    outcome, is_equal = _judged(voice, made, remade)
    voice.facts |= {
        "model": model,
        "version": version,
        "is_equal": is_equal,
        "outcome": outcome,
        "faults": [_told(one) for one in made.faults],
        "changes": [_told(one) for one in made.changes],
    }
    voice.finish()
    if made.faults or not is_equal:
        raise RebuiltOtherwise(model, version, outcome, [*made.faults, *made.changes])
    voice.say(f"\n{model} {version[:12]}: {outcome}")
    if made.changes:
        voice.say("Not as it was, and it made no difference:")
    for change in made.changes:
        voice.say(f"  - {change}")


def _steps(voice: Voice, made: Reproduction) -> Remade | None:
    n_files = made.provenance.origins.n_files
    with voice.step("check raw files") as note:
        n_sound = made.check_files()
        note.text = f"{n_sound} of {n_files} have their recorded SHA-256"
        note.is_failed = n_sound < n_files
    with voice.step("take them in again") as note:
        note.text = f"{made.take_in():,} rows"
        note.is_failed = _has(made, "raw", "source")
    with voice.step("build tables from raw") as note:
        _days(note, made.build_tables())
    with voice.step("read the pinned snapshot") as note:
        _days(note, made.read_snapshot())
    with voice.step("train again") as note:
        remade = made.train()
        note.text = f"on rows from {remade.rows_from}" if remade else "not possible"
        note.is_failed = remade is None
    return remade


def _judged(voice: Voice, made: Reproduction, remade: Remade | None) -> tuple[str, bool]:
    """The outcome in words, and whether trees and predictions are equal to the bit."""
    if remade is None:
        rows = "training fails" if _has(made, "training") else "its rows are lost"
        return f"it can't be made again: {rows}", False
    recorded = made.provenance
    equal = {
        "trees": (recorded.trees_sha256, remade.trees_sha256),
        "predictions": (recorded.predictions_sha256, remade.predictions_sha256),
        "version": (made.bundle.version, remade.bundle.version),
    }
    voice.facts["digests"] = {name: {"recorded": then, "rebuilt": now} for name, (then, now) in equal.items()}
    for name in ("trees", "predictions"):
        then, now = equal[name]
        with voice.step(f"compare {name}") as note:
            note.text, note.is_failed = f"{now[:12]}, recorded {then[:12]}", now != then
    other = [name for name in ("trees", "predictions") if equal[name][0] != equal[name][1]]
    if other:
        return f"{' and '.join(other)} are not equal to the recorded", False
    told = "trees and predictions are equal to the bit"
    lost = ["raw"] if made.from_raw is None else []
    lost += ["the pinned snapshot"] if made.from_snapshot is None and made.is_kept else []
    if lost:
        told += f", on rows from {remade.rows_from}; not from {' nor from '.join(lost)}"
    return told, True


def _days(note: Note, counts: Mapping[str, tuple[int, int]]) -> None:
    days = ", ".join(f"{table} {n}/{of}" for table, (n, of) in counts.items())
    note.text = f"{days} days" if counts else "not possible"
    note.is_failed = not counts or any(n < of for n, of in counts.values())


def _has(made: Reproduction, *kinds: str) -> bool:
    return any(fault.kind in kinds for fault in made.faults)


def _told(difference: Difference) -> dict[str, object]:
    return asdict(difference) | {"text": str(difference)}
