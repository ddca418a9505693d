"""Every error the platform raises on purpose, each with what failed, the culprit and the way out.

No handling, no logging: whoever catches one decides what to do with it. One file however long, so that what
can go wrong is read in one place.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.lake.turn import Holder
    from ml.proofs.leakage import Leak
    from ml.proofs.sql_rules import Finding


_SHOWN_SQL = 160  # characters


class HeadwaterError(Exception):
    """Base of all errors raised on purpose; its message is fit to show a user as it is."""


def nearest(value: str, allowed: Iterable[str]) -> str:
    """A sentence naming the allowed values nearest to `value`, or all of them when there are few."""
    names = sorted(allowed)
    close = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"Allowed: {', '.join(map(repr, names[:12]))}{', …' if len(names) > 12 else ''}."  # noqa: PLR2004


class TurnNotGranted(HeadwaterError):
    """A writer waited its whole time for its turn."""

    def __init__(self, lock: Path, waited_s: float, holder: "Holder | None") -> None:
        who = "a process that has not said who it is"
        if holder:
            who = f'process {holder.pid} ("{holder.command}"), since {holder.since}'
        super().__init__(
            f'Waited {waited_s:.0f} s for the writer\'s turn on "{lock}"; it is held by {who}. '
            "Wait until that has ended, or end it: the turn is given back when its process ends."
        )


class OutsideTurn(HeadwaterError):
    """The workshop was opened without the writer's turn."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f'"{file}" may be opened only inside a writer\'s turn: with workshop.turn(): workshop.connect()'
        )


class WorkshopLocked(HeadwaterError):
    """Another process opened the workshop's file without queueing for the turn."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f'"{file}" is open in a process that did not queue for its turn: {reason} Close it there '
            "(a DuckDB shell or notebook should open a copy), then run this again."
        )


class WorkshopUnreadable(HeadwaterError):
    """DuckDB cannot open the workshop's file."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f'"{file}" cannot be opened: {reason} If it is damaged, move it away: raw is made again from the '
            "kept copies of the landed files, and the tables from raw."
        )


class NothingPublished(HeadwaterError):
    """A reader asked for an edition before the first one."""

    def __init__(self, catalog_url: str, edition: int | None) -> None:
        asked = "no edition" if edition is None else f"no edition {edition}"
        super().__init__(
            f'The published tables have {asked} yet (catalog "{catalog_url}"). '
            "Publish one first: materialize the published tables of at least one day."
        )


class UnknownTable(HeadwaterError):
    """An edition does not hold a table of that name."""

    def __init__(self, table: str, edition: int, known: Iterable[str]) -> None:
        super().__init__(f'Edition {edition} has no published table "{table}". {nearest(table, known)}')


class UnknownColumn(HeadwaterError):
    """A published table does not have a column of that name."""

    def __init__(self, column: str, table: str, known: Iterable[str]) -> None:
        super().__init__(f'The published table "{table}" has no column "{column}". {nearest(column, known)}')


class BadBatch(HeadwaterError):
    """Rows handed over for publishing that do not fit the table or its window."""

    def __init__(self, table: str, found: str, expected: str) -> None:
        super().__init__(f'The rows for the published table "{table}" {found}; expected {expected}.')


class BadDeclaration(HeadwaterError):
    """A declaration that cannot be what its author meant."""

    def __init__(self, name: str, where: str, field: str, value: object, expected: str) -> None:
        place = f' in "{where}"' if where else ""
        given = "nothing" if value is None else f'"{value}"'
        super().__init__(f'The declaration of "{name}"{place} has {given} at "{field}"; expected {expected}.')


class MixedCadences(HeadwaterError):
    """Sources whose files come at different steps of time meet in one table."""

    def __init__(self, sources: Mapping[str, tuple[str, object]]) -> None:
        told = ", ".join(f'"{name}" ({cadence} from {start})' for name, (cadence, start) in sources.items())
        super().__init__(
            f"Tables by day are made from sources that do not come at the same steps: {told}. Give them the "
            "same cadence, and weekly ones a start on the same weekday; or read one of them through a table "
            "with `materialized: table`, which has no days."
        )


class FeatureRowsMismatch(HeadwaterError):
    """Feature SQL did not answer with exactly one row for each row of a request."""

    def __init__(self, n_asked: int, n_answered: int) -> None:
        super().__init__(
            f"The feature SQL answered {n_answered} rows, or some in duplicate, for a request of {n_asked}. "
            "It must carry `request_row` through and neither drop nor double a row: look up with as_of, "
            "never with an inner join."
        )


class FeatureSqlUnfit(HeadwaterError):
    """Feature SQL does something that the endpoint can't compute row by row, alike to the bit."""

    def __init__(self, table: str, line: int | None, fragment: str, reason: str, where: str = "") -> None:
        self.table, self.line, self.fragment, self.reason = table, line, fragment, reason
        place = where or (f"line {line} of its SQL for serving" if line else "its SQL for serving")
        shown = fragment if len(fragment) <= _SHOWN_SQL else fragment[: _SHOWN_SQL - 1] + "…"
        super().__init__(
            f'Feature table "{table}", {place}: {shown} can\'t be computed for a request: {reason}. '
            "Compute it in a table upstream and look that up with as_of, or write it with what is compiled."
        )


class FeatureNotComputed(HeadwaterError):
    """Compiled feature SQL failed on the values of a request, where DuckDB would refuse them too."""

    def __init__(self, row: int, reason: str) -> None:
        self.row, self.reason = row, reason
        super().__init__(f"The features of row {row} could not be computed: {reason}. Correct its values.")


class AnswerIdMalformed(HeadwaterError):
    """What was given as an answer's id is none."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f'"{text[:60]}" is no id of an answer. An id is like 20260131-0f3a9c2e-00001a: the value of "id" '
            "in the answer."
        )


class AnswerNotLogged(HeadwaterError):
    """The prediction log holds no answer with that id."""

    def __init__(self, answer_id: str, folder: Path, why: str) -> None:
        super().__init__(
            f'Answer {answer_id} is not in the prediction log "{folder}": {why}. Look at the answer\'s own '
            '"id", and at the log of the same project.'
        )


class AnswerNotVerified(HeadwaterError):
    """Something that an answer rests on is not what it was when the answer was given."""

    def __init__(self, answer_id: str, failed: Iterable[str]) -> None:
        told = "\n".join(f"- {one}" for one in failed)
        super().__init__(
            f"Answer {answer_id} rests on what is not as it was:\n{told}\n"
            "`headwater rebuild VERSION` says if its model can still be made again, and from what."
        )


class ReplayFailed(HeadwaterError):
    """The process in which a candidate is asked about past requests ended before it was done."""

    def __init__(self, version: str, told: str) -> None:
        super().__init__(
            f"Version {version[:12]} can't be asked about past requests; its process said:\n{told}"
        )


class AlertNotDelivered(HeadwaterError):
    """A declared receiver of alerts could not be reached; it is tried again."""

    def __init__(self, failed: Iterable[str]) -> None:
        super().__init__(f"Alerts could not be delivered to {'; '.join(failed)}. They are tried again.")


class PredictionsUnfit(HeadwaterError):
    """A source of predictions names columns that the model's answers do not have."""

    def __init__(self, source: str, model: str, missing: Sequence[str], present: Iterable[str]) -> None:
        super().__init__(
            f'Source "{source}" takes {", ".join(map(repr, missing))} from the answers of "{model}", which '
            f"have no such value. They have {', '.join(sorted(present))}."
        )


class CandidateNotServed(HeadwaterError):
    """A candidate's Bento does not come up, so that nothing can be asked of it."""

    def __init__(self, tag: str, output: str) -> None:
        super().__init__(
            f'The Bento "{tag}" did not answer, so it is not promoted; the champion stays. Its output ends:\n'
            f"{output.strip()}\nRun `bentoml serve {tag}` to see it by hand."
        )


class NoSuchFile(HeadwaterError):
    """A recall was asked for of bytes that were never taken in."""

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f'"{wanted}" is no file whose bytes were taken in. Name a landed file, a copy under files/ '
            "in the home folder, or at least 6 digits of a SHA-256 (`headwater recall` takes any of these)."
        )


class SeveralFiles(HeadwaterError):
    """Several files that were taken in begin with the digits given."""

    def __init__(self, wanted: str, found: Iterable[str]) -> None:
        super().__init__(f'"{wanted}" stands for several files: {", ".join(found)}. Give more digits.')


class LookedUp(HeadwaterError):
    """The only file of a source that other sources look values up in; without it nothing is taken in."""

    def __init__(self, source: str, others: Iterable[str]) -> None:
        super().__init__(
            f'Nothing was changed: this is the only file of "{source}", in which {", ".join(others)} look '
            f'values up, so that none of their files could be read. Land a corrected file of "{source}" and '
            "run `headwater up`, then recall this one."
        )


class RecallUnfinished(HeadwaterError):
    """A recall could not be brought to its end; what serves goes on serving."""

    def __init__(self, troubles: Iterable[str]) -> None:
        listed = "\n".join(f"  - {trouble}" for trouble in troubles)
        super().__init__(
            f"The recall is not finished:\n{listed}\nMend this and give the same command again: it goes on "
            "where it stood."
        )


class FileRefused(HeadwaterError):
    """A landed file that cannot be taken in; it stays where it lies and other files go on."""

    def __init__(
        self, path: Path, found: str, expected: str, *, row: int | None = None, column: str | None = None
    ) -> None:
        self.path, self.row, self.column = path, row, column
        self.found, self.expected = found, expected
        place = "".join((f", row {row}" if row else "", f', column "{column}"' if column else ""))
        super().__init__(
            f'File "{path}"{place}: {found}; expected {expected}. '
            "The file was left where it is: land a corrected one under the same name."
        )


class FilesRefused(HeadwaterError):
    """One or more landed files of a source were refused; the others were taken in."""

    def __init__(self, source: str, refused: Iterable[FileRefused], n_taken: int) -> None:
        self.refused = tuple(refused)
        told = "\n".join(f"- {error}" for error in self.refused)
        super().__init__(
            f'{len(self.refused)} landed file(s) of "{source}" refused ({n_taken} others taken in):\n{told}'
        )


class TablesNotBuilt(HeadwaterError):
    """dbt could not parse, build or test; readers keep the edition they have."""

    def __init__(self, command: str, cause: str) -> None:
        super().__init__(
            f"dbt {command} failed: {cause}. Nothing was published: readers keep what they have. "
            "Mend the table or its data and run again; compiled SQL is in the home folder, dbt/compiled."
        )


class Uncertified(HeadwaterError):
    """Rows were to be trained on that are not known to have passed their blocking checks."""

    def __init__(self, table: str, edition: int, days: Mapping[date, str]) -> None:
        self.days = dict(days)
        first, last = min(days), max(days)
        of = f"{first}" if first == last else f"{first} to {last} ({len(days)} days)"
        super().__init__(
            f'Rows of "{table}" of {of} in edition {edition} are not certified, so no training set is made '
            f"of them: {days[first]}. Mend the cause, then materialize these days of the table, which runs "
            "its checks and publishes them, or leave the days out by the model's split."
        )


class MadeByOtherCode(HeadwaterError):
    """Rows were to be trained on that are not made by the SQL there is now, or not all by the same."""

    def __init__(self, table: str, edition: int, days: Iterable[date], n_days: int) -> None:
        self.days = sorted(days)
        first, last = self.days[0], self.days[-1]
        of = f"{first}" if first == last else f"{first} to {last}"
        super().__init__(
            f'Rows of "{table}" of {of} ({len(self.days)} of {n_days} days) in edition {edition} are not '
            "known to be made by the same SQL, of the table and of all it is made from, as the others or as "
            "there is now. No training set is made of them: run `make up`, which computes stale days anew."
        )


class OtherCodeNow(HeadwaterError):
    """The rows of a training set were made by other SQL than there is by the time a model is trained."""

    def __init__(self, model: str, tables: Iterable[str]) -> None:
        told = ", ".join(f'"{table}"' for table in sorted(tables))
        super().__init__(
            f'The training set of model "{model}" was made when the SQL of {told}, or of what that is made '
            "from, was another. Run `make up`, or materialize the training set again."
        )


class UncertifiedInputs(HeadwaterError):
    """A table would be made from rows that did not pass their blocking checks."""

    def __init__(self, table: str, parent: str, failed: Mapping[date | None, str]) -> None:
        days = sorted(day for day in failed if day is not None)
        of = f" of {days[0]}" if days else ""
        of += f" to {days[-1]}" if len(days) > 1 else ""
        super().__init__(
            f'Table "{table}" was not built: it reads rows{of} of "{parent}" that are not certified, since '
            f'{next(iter(failed.values()))}. Mend their cause and materialize "{parent}"{of} again first.'
        )


class SelfTestFailed(HeadwaterError):
    """A model that was loaded did not answer its own example as it must; it is not taken into service."""

    def __init__(self, model: str, version: str, reason: str) -> None:
        super().__init__(
            f'Version {version[:12]} of "{model}" failed its self-test: {reason}. It is not taken into '
            "service; what served before goes on. Train again, or promote another version."
        )


class BundleTooLarge(HeadwaterError):
    """A stored model is larger than who would load it allows."""

    def __init__(self, place: str, n_bytes: int, most: int) -> None:
        super().__init__(
            f'Bundle "{place}" has {n_bytes / 2**20:,.1f} MB; at most {most / 2**20:,.0f} are loaded. Train '
            "a smaller model, or raise HEADWATER_MAX_MODEL_MB."
        )


class ModelTooSlow(HeadwaterError):
    """A model that was loaded takes longer for a row than the endpoint allows."""

    def __init__(self, model: str, version: str, row_ms: float, most_ms: float) -> None:
        super().__init__(
            f'Version {version[:12]} of "{model}" takes {row_ms:.1f} ms to score a row; at most {most_ms:g} '
            "are allowed. What served before goes on. Train fewer or smaller trees, or raise "
            "HEADWATER_MAX_ROW_MS."
        )


class PromisesBroken(HeadwaterError):
    """A new champion would refuse or misread requests that the version before it answers."""

    def __init__(self, model: str, version: str, broken: Sequence[str]) -> None:
        super().__init__(
            f'Version {version[:12]} of "{model}" is not taken into service, for callers rely on what '
            f"serves: {'; '.join(broken)}. What served before goes on. Make the change one that callers need "
            "not know, or change over on purpose: headwater down, then headwater up."
        )


class LookupMissing(HeadwaterError):
    """A source needs values of another source that has not been taken in."""

    def __init__(self, source: str, lookup: str, other: str) -> None:
        super().__init__(
            f'Source "{source}" looks "{lookup}" up in source "{other}", which has no file in raw yet. '
            f'Take in "{other}" first.'
        )


class KeptCopyDamaged(HeadwaterError):
    """A kept copy whose bytes are no longer those that were taken in."""

    def __init__(self, path: Path, sha256: str) -> None:
        super().__init__(
            f'The kept copy "{path}" has other bytes than were taken in (SHA-256 {sha256[:12]}… expected). '
            "Put the file back from a backup, or remove it if its rows are to be gone from raw."
        )


@dataclass(frozen=True)
class Problem:
    """One mistake in a declaration: the field by its path, the value found there, what is wrong with it."""

    field: str
    value: object
    message: str

    def __str__(self) -> str:
        found = "" if self.value is None else f" = {self.value!r}"
        return f"{self.field}{found}: {self.message}"


class DeclarationRefused(HeadwaterError):
    """A model's declaration, in the file `where` if it is in one, has mistakes."""

    def __init__(self, model: str, problems: tuple[Problem, ...], where: str = "") -> None:
        from ml.places import placed

        self.problems = problems
        places = (f"{placed(where, model, one.field)}: " if where else "" for one in problems)
        told = "\n".join(f"- {place}{problem}" for place, problem in zip(places, problems, strict=True))
        super().__init__(f'The declaration of model "{model}" can\'t be used; correct:\n{told}')


class ManifestUnfit(HeadwaterError):
    """dbt's manifest lacks what a feature definition needs."""

    def __init__(self, table: str, problem: str) -> None:
        super().__init__(
            f'Table "{table}" can\'t be used by a model: {problem}. Correct it in the dbt project.'
        )


class EmptySplit(HeadwaterError):
    """The declared split leaves no rows to train on or to test on."""

    def __init__(self, model: str, part: str, rule: str, of: str) -> None:
        super().__init__(
            f'Model "{model}": no {part} rows remain by {rule}, of {of}. '
            "Change the split in its declaration, or take in more days."
        )


class DuplicateKeys(HeadwaterError):
    """A table that must hold one row per entity holds several."""

    def __init__(self, table: str, key: str, value: object, n_rows: int) -> None:
        super().__init__(
            f'Table "{table}" holds {n_rows} rows with {key} {value!r}; it must hold one per {key}. '
            "Test it for uniqueness in the dbt project."
        )


class RowsChanged(HeadwaterError):
    """The rows a manifest names are not what they were."""

    def __init__(self, model: str, part: str, edition: int, expected: str, found: str) -> None:
        super().__init__(
            f'Model "{model}": the {part} rows read again from edition {edition} have SHA-256 {found}, '
            f"not {expected} as assembled. Assemble the training set again."
        )


class ColumnMissing(HeadwaterError):
    """A column that a model needs isn't in the rows given."""

    def __init__(self, model: str, column: str, present: Iterable[str]) -> None:
        super().__init__(
            f'Model "{model}" needs column "{column}", which is not there. {nearest(column, present)}'
        )


class ColumnUnfit(HeadwaterError):
    """A column has a type that a model can't take."""

    def __init__(self, column: str, found: str, expected: str) -> None:
        super().__init__(f'Column "{column}" is {found}; expected is {expected}.')


class InfiniteValues(HeadwaterError):
    """A feature holds infinite values."""

    def __init__(self, column: str, n_infinite: int, n_rows: int) -> None:
        self.column = column
        super().__init__(
            f'Feature "{column}" is infinite in {n_infinite:,} of {n_rows:,} rows. '
            "Make it null or finite in the feature table (a division by zero?)."
        )


class FeaturesEmpty(HeadwaterError):
    """Features that have no value in any training row, though nobody said that they may."""

    def __init__(self, model: str, columns: Iterable[str], n_rows: int) -> None:
        told = ", ".join(f'"{column}"' for column in columns)
        super().__init__(
            f'Model "{model}" can learn nothing from {told}: no value in any of {n_rows:,} training rows. '
            "Look at the feature table, leave the column out, or name it under features.may_be_missing "
            "when its source begins later."
        )


class TooManyCategories(HeadwaterError):
    """A category with so many values that it names rows rather than kinds of them."""

    def __init__(self, column: str, n_categories: int, n_rows: int, most: int) -> None:
        super().__init__(
            f'Feature "{column}" has {n_categories:,} categories in {n_rows:,} training rows; at most {most} '
            "are taken. Group the rare ones in the feature table, or give the model a rate of theirs instead."
        )


class LabelUnfit(HeadwaterError):
    """A label that isn't what its task needs."""

    def __init__(self, model: str, column: str, found: str, expected: str) -> None:
        super().__init__(
            f'Label "{column}" of model "{model}" is {found}; expected is {expected}. Correct the label '
            "table, or the task in the declaration."
        )


class OneClass(HeadwaterError):
    """All rows have the same label, so that nothing can be learned or measured."""

    def __init__(self, model: str, part: str, column: str, value: object, n_rows: int) -> None:
        super().__init__(
            f'Label "{column}" of model "{model}" is {value!r} in all {n_rows:,} {part} rows; at least '
            "two values are needed. Look at the label table, or give the split more days."
        )


class CalibrationUnfit(HeadwaterError):
    """The rows set aside to calibrate on hold too little to do so."""

    def __init__(self, model: str, code: int, n_rows: int, days: int) -> None:
        super().__init__(
            f'Model "{model}" can\'t be calibrated: class {code} is the label of none or all of the '
            f"{n_rows:,} rows of the newest {days} training days. Raise calibration.days, or leave "
            "calibration out."
        )


class EngineRefused(HeadwaterError):
    """The engine's library refused parameters, data or a model text."""

    def __init__(self, engine: str, act: str, reason: str) -> None:
        self.reason = reason.strip()
        super().__init__(
            f'Engine "{engine}" refused to {act}: {reason.strip()}. '
            "Correct engine.parameters in the model's declaration, or the bundle if it was to be loaded."
        )


class MadeByOtherEngine(HeadwaterError):
    """A bundle was fitted by another major version of its engine's library than is installed."""

    def __init__(self, model: str, version: str, library: str, made_by: str, installed: str) -> None:
        self.version, self.made_by, self.installed = version, f"{library} {made_by}", installed
        super().__init__(
            f'Version {version[:12]} of "{model}" was fitted by {library} {made_by}, and {installed} is '
            "installed: it might score otherwise, so it is not used. Install the major version that fitted "
            "it, or train again."
        )


class ContractBroken(HeadwaterError):
    """The parts of a bundle contradict each other."""

    def __init__(self, model: str, version: str, problem: str) -> None:
        super().__init__(
            f'Version {version[:12]} of "{model}" is not used: {problem}. Train again, or promote another.'
        )


class BundleRefused(HeadwaterError):
    """A bundle isn't what its index says."""

    def __init__(self, place: str, file: str, problem: str) -> None:
        super().__init__(
            f'Bundle "{place}" is not used: "{file}": {problem}. Restore it from a copy, or train it again.'
        )


class VersionNotFound(HeadwaterError):
    """The registry holds no complete bundle of that version."""

    def __init__(self, model: str, version: str, registry: str, hint: str) -> None:
        super().__init__(f'Registry "{registry}" holds no version "{version}" of model "{model}". {hint}')


class NoSuchVersion(HeadwaterError):
    """No bundle of any model has a version that begins so."""

    def __init__(self, prefix: str, known: Iterable[str], url: str) -> None:
        super().__init__(f"No version in {url} begins with {prefix!r}. {nearest(prefix[:12], known)}")


class SeveralVersions(HeadwaterError):
    """The beginning of a version that is that of several."""

    def __init__(self, prefix: str, found: Iterable[str]) -> None:
        super().__init__(f"Several versions begin with {prefix!r}: {', '.join(found)}. Give more of it.")


class NotReproducible(HeadwaterError):
    """A bundle that does not say what it was made from."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(
            f"Version {version[:12]} of {model} has no provenance.json: it was trained before bundles named "
            f"all that they were made from, or by hand. Materialize {model}/training_set and "
            f"{model}/candidate anew, on other days or with another declaration: a version is stored once."
        )


class RebuiltOtherwise(HeadwaterError):
    """A version could not be made again to the bit from all that it was made from."""

    def __init__(self, model: str, version: str, outcome: str, differences: Iterable[object]) -> None:
        listed = "\n".join(f"  - {difference}" for difference in differences)
        super().__init__(f"{model} {version[:12]}: {outcome}. What differs:\n{listed}")


class EvaluationNotFound(HeadwaterError):
    """The registry holds no such file of an evaluation."""

    def __init__(self, model: str, version: str, evaluation: str, file: str, registry: str) -> None:
        super().__init__(
            f'Registry "{registry}" holds no "{file}" of evaluation "{evaluation}" of {model} '
            f"{version[:12]}. Evaluate the version again."
        )


class NotRegistered(HeadwaterError):
    """A version was to be promoted that the ledger doesn't know."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f'Version "{version}" of model "{model}" is not registered. Register it first.')


class ChampionChanged(HeadwaterError):
    """Another version became champion meanwhile."""

    def __init__(self, model: str, version: str, expected: str | None, found: str | None) -> None:
        super().__init__(
            f'Version "{version[:12]}" of model "{model}" is not promoted: it was judged against champion '
            f"{(expected or 'none')[:12]!r}, but champion is {(found or 'none')[:12]!r}. Evaluate it again."
        )


class NothingToRollBackTo(HeadwaterError):
    """A model has no champion before the present one."""

    def __init__(self, model: str, champion: str | None) -> None:
        found = f"{champion[:12]} is its first champion" if champion else "it has no champion"
        super().__init__(
            f'Model "{model}" can\'t be rolled back: {found}. `headwater ledger {model}` shows its history.'
        )


class NeverChampion(HeadwaterError):
    """A rollback named a version that was never champion, that is champion now, or that is ambiguous."""

    def __init__(self, model: str, version: str, champion: str, past: Sequence[str]) -> None:
        listed = ", ".join(one[:12] for one in past) or "none"
        super().__init__(
            f'Model "{model}" can\'t be rolled back to "{version}": that is not one version which was '
            f"champion before. Champion now: {champion[:12]}. Champions before: {listed}."
        )


class LedgerUnusable(HeadwaterError):
    """The ledger's database can't be reached or written."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f'Ledger "{url}": {reason}. Look whether HEADWATER_LEDGER is right and the database is up.'
        )


class PackagingFailed(HeadwaterError):
    """BentoML did not build a Bento."""

    def __init__(self, tag: str, said: str) -> None:
        told = "\n".join(said.strip().splitlines()[-10:])
        super().__init__(
            f'Building the Bento "{tag}" failed. BentoML said:\n{told}\n'
            "Nothing was installed; mend the cause and pack again."
        )


class UnknownTag(HeadwaterError):
    """No edition of the published tables has that tag."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f'No edition of the published tables has the tag "{name}". {nearest(name, known)}')


class SettingRefused(HeadwaterError):
    """An environment variable holds something it can't."""

    def __init__(self, name: str, value: str, expected: str) -> None:
        super().__init__(f'{name} is "{value}"; expected {expected}. Change it or leave it out.')


class NotAuditable(HeadwaterError):
    """A table of features or labels does not say when its rows are due, or has no rows of its own."""

    def __init__(self, table: str, problem: str) -> None:
        super().__init__(
            f'Table "{table}" can\'t be audited for leaks: {problem}. Correct its YAML in the dbt project.'
        )


class LeakFound(HeadwaterError):
    """Rows that were due by a cutoff depend on what was known only after it."""

    def __init__(self, leaks: "Iterable[Leak]") -> None:
        self.leaks = tuple(leaks)
        told = "\n".join(f"- {leak}" for leak in self.leaks)
        super().__init__(
            f"{len(self.leaks)} leak(s) from the future:\n{told}\n"
            "A row may use only what was known when it was due: look rows up by their known_at (as_of does), "
            "and take a fact only where its own <fact>_known_at is not after that."
        )


class StandsOtherwise(HeadwaterError):
    """Tables are not what their SQL makes of raw, so that nothing can be said about leaks."""

    def __init__(self, tables: Iterable[str]) -> None:
        told = ", ".join(f'"{table}"' for table in tables)
        super().__init__(
            f"What stands in {told} is not what the compiled SQL makes of raw as it stands: files were taken "
            "in since, or the SQL gives other rows each time. Materialize the tables again, then audit them."
        )


class SqlNotRepeatable(HeadwaterError):
    """Compiled SQL that may give other rows from the same rows, from one run to the next."""

    def __init__(self, findings: "Iterable[Finding]") -> None:
        self.findings = tuple(findings)
        told = "\n".join(f"- {finding}" for finding in self.findings)
        super().__init__(f"{len(self.findings)} place(s) in SQL that may not repeat:\n{told}")


class ProofFailed(HeadwaterError):
    """A proof found tables that are not what their SQL makes of raw each time."""

    def __init__(self, proof: str, tables: Mapping[str, Iterable[str]]) -> None:
        self.tables = {name: tuple(told) for name, told in tables.items()}
        told = "\n".join(f"- {one}" for found in self.tables.values() for one in found)
        super().__init__(
            f"The proof {proof} failed for {len(self.tables)} table(s):\n{told}\n"
            "No model is trained on what is made from these. Mend their SQL, or materialize their days again "
            "if rows were changed by hand, then run the job proofs."
        )


class TableNotRebuilt(HeadwaterError):
    """DuckDB refused a table's compiled SQL where it was computed again beside the workshop."""

    def __init__(self, table: str, reason: str) -> None:
        super().__init__(
            f'Table "{table}" could not be computed again from its compiled SQL. DuckDB says: '
            f"{reason.strip()} Mend its SQL (its casts and assumptions must hold for any rows of its inputs)."
        )


class AccessKeyExists(HeadwaterError):
    """A key of that name is there already."""

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(
            f'There is a key "{name}" in "{file}" already. Take another name, let both be known while '
            f"callers change over, then revoke the old one: headwater key revoke {name}"
        )


class NoSuchAccessKey(HeadwaterError):
    """A key to revoke that nobody made."""

    def __init__(self, name: str, known: Iterable[str], file: Path) -> None:
        super().__init__(f'There is no key "{name}" in "{file}". {nearest(name, known)}')


class AccessKeysUnreadable(HeadwaterError):
    """The file of keys is not what `headwater key` writes."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f'The keys in "{file}" can\'t be read: {reason}. Mend the file, or remove it and make the keys '
            "anew with: headwater key add NAME --scope predict"
        )


class AccessKeysMissing(HeadwaterError):
    """An endpoint that others can reach, and no key that they would need."""

    def __init__(self, host: str, file: Path | None) -> None:
        place = f'"{file}"' if file else "the file that HEADWATER_KEYS names"
        super().__init__(
            f"An endpoint on {host} needs keys, and there is none in {place}. Make one with: headwater key "
            "add NAME --scope predict; or listen on 127.0.0.1, where no key is needed."
        )
