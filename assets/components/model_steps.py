"""The steps of one model over plain library objects: what each asset of it calls.

No Dagster events here, and no maths: `ml` does the work.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from assets.compiled_tables import compiled_lineage
from assets.components.model_asking import Gauntlet, prove
from assets.dbt_runner import DbtRunner
from assets.resources import Platform
from assets.table_code import canonical_sql, project_code
from ml import canonical, card, deciding, gate, packaging, promotion, replay, report, retrain
from ml.backtest import Backtest, Fold, backtest
from ml.baseline import fit_baseline
from ml.bundle import Bundle
from ml.declaration import ModelDeclaration
from ml.errors import MadeByOtherEngine, OtherCodeNow
from ml.evaluation import Evaluation, evaluate
from ml.feature_definition import FeatureDefinition
from ml.gathering import Witness, environment_now, gather, keep_edition, seal
from ml.ledger_entries import Entry
from ml.observing import BASELINE_FILE
from ml.plots import Picture, draw
from ml.plots_backtest import draw_backtest
from ml.provenance import Origins
from ml.replay_answers import on_answers
from ml.scoring import Scorer
from ml.search import Told, search
from ml.split import Span
from ml.tables import ancestors, lineage_code, raw_name
from ml.training import Found, found_for, train
from ml.training_set import Manifest, TrainingSet, assemble, rows_for, train_rows_now

ACTOR = "dagster"
Value = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """An evaluation, what the gate decided on it, and where both are kept."""

    evaluation: Evaluation
    decision: gate.Decision
    pictures: Mapping[str, Picture]
    card: str
    uri: str
    edition: int

    @property
    def reference(self) -> Value:
        """What is handed to the next asset: names, not contents."""
        return {
            "version": self.evaluation.version,
            "evaluation": self.evaluation.id,
            "edition": self.edition,
        }


@dataclass(frozen=True)
class Backtested:
    """A backtest, its picture, and where both are kept."""

    backtest: Backtest
    pictures: Mapping[str, Picture]
    uri: str


@dataclass(frozen=True)
class Steps:
    """One model's steps; rows stay in memory between the steps of one process."""

    declaration: ModelDeclaration
    runner: DbtRunner
    _rows: dict[str, TrainingSet] = field(default_factory=dict, repr=False, compare=False)

    def retrain_decision(self, platform: Platform) -> retrain.RetrainDecision:
        """Whether the declared policy wants a retrain now."""
        newest = platform.ledger().newest(self.declaration.name, "registered")
        if newest and (why := self._made_otherwise(platform, newest.version)):
            return retrain.RetrainDecision(True, 0, why)
        published = platform.published()
        labelled = published.days(self.declaration.label.table, published.edition())
        until = promotion.trained_until(platform.ledger(), self.declaration.name)
        shown = deciding.signals(platform.settings, self.declaration)
        return retrain.decide(self.declaration, labelled, until, shown)

    def note_decision(self, platform: Platform, decision: retrain.RetrainDecision) -> None:
        """Write the decision of a run that files asked for to the ledger, with its numbers."""
        edition = platform.published().edition().id
        deciding.note(platform.settings, self.declaration.name, decision, edition, ACTOR)

    @property
    def lineage_code(self) -> str:
        """The code of the tables that the rows are read from, and of all that those are made from."""
        tables = project_code(self.runner).tables
        return lineage_code(tables, (self.declaration.features.table, self.declaration.label.table))

    @property
    def _codes(self) -> dict[str, str]:
        """The code that the rows of features and labels must be made by."""
        tables = project_code(self.runner).tables
        names = (self.declaration.features.table, self.declaration.label.table)
        return {name: lineage_code(tables, [name]) for name in names}

    @property
    def training_code(self) -> str:
        """What a candidate is made by: what training reads of the declaration, and the SQL for serving."""
        online = project_code(self.runner).online.get(self.declaration.features.table, "")
        return canonical.digest(self.declaration.training_code + online)[:16]

    @property
    def backtest_code(self) -> str:
        """What a backtest is made by: as a candidate, over the declared periods."""
        return canonical.digest(self.training_code + canonical.dumps(self.declaration.backtest))[:16]

    def _made_otherwise(self, platform: Platform, version: str) -> str | None:
        """Why training now would not give a version, were it given the same days; None if it would."""
        bundle = platform.registry().get(self.declaration.name, version)
        if bundle.declaration.training_code != self.declaration.training_code:
            return "what training reads of the declaration is not what the newest candidate was trained by"
        if bundle.origin.get("code") == self.lineage_code:
            return None
        rows, tested = bundle.receipt["rows"], bundle.origin["tested_on"]
        now = train_rows_now(platform.published(), bundle.declaration, _span(rows), _span(tested))
        if now != rows["rows_sha256"]:
            return "the newest candidate's rows are not what the tables' code makes of the same days now"
        if canonical_sql(bundle.feature_sql) != canonical_sql(self._definition(platform).online_sql):
            return "the SQL that serves features is not the newest candidate's any more"
        return None

    def assemble(self, platform: Platform) -> Origins:
        """Read and split the rows of the newest edition, which stays readable until the next training."""
        published, tables = platform.published(), project_code(self.runner).tables
        names = (self.declaration.features.table, self.declaration.label.table)
        raw = {of for name in names for of in ancestors(tables, name)} - tables.keys()
        edition, ground = gather(platform.settings, {name.removeprefix(raw_name("")) for name in raw})
        witness = Witness(published, self.declaration.key)
        rows = assemble(witness, self.declaration, edition, self._codes)
        published.tag(edition, f"{self.declaration.name}/training")
        self._remember(rows)
        days = Span(rows.manifest.train.first_day, rows.manifest.test.last_day)
        sql = compiled_lineage(self.runner, names, days)
        return Origins(rows.manifest, ground, witness.noted(rows.manifest), sql)

    def train(self, platform: Platform, training_set: Value, told: Told) -> Bundle:
        """Train on the manifest's rows, searched first if declared, and register; raises OtherCodeNow.

        `told` hears of every trial of a search.
        """
        rows, codes = self._load(platform, training_set), self._codes
        if rows.manifest.codes != codes:
            raise OtherCodeNow(
                self.declaration.name, (t for t in codes if rows.manifest.codes.get(t) != codes[t])
            )
        definition, found = self._definition(platform), None
        if self.declaration.search:
            studies = platform.settings.home / "searches.db"
            found = search(rows, self.declaration, definition, studies, told=told)
        given, tested = [rows], rows.tested()
        del rows  # what nobody holds is free while the engine trains
        made = train(given.pop(), self.declaration, definition, code=self.lineage_code, found=found)
        now = environment_now(platform.settings.project, self.declaration)
        bundle = seal(made, tested, self._origins(training_set), definition, now)
        promotion.register(platform.ledger(), platform.registry(), bundle, ACTOR)
        return bundle

    def evaluate(self, platform: Platform, training_set: Value, version: str) -> Judged:
        """Judge a version beside the champion, keep evaluation and report, and note a refusal at once."""
        rows, registry, ledger = self._load(platform, training_set), platform.registry(), platform.ledger()
        bundle = registry.get(self.declaration.name, version)
        champion, unread = self._champion(platform)
        plain = fit_baseline(rows, bundle)
        theirs = champion and rows_for(rows, champion.bundle.declaration, platform.published())
        rules = self.declaration.gate
        evaluation = evaluate(
            Scorer(bundle),
            rows.test,
            champion=champion,
            champion_test=theirs,
            against=rules.against_champion.metric,
            baseline=plain,
        )
        if unread:
            evaluation = evaluation.beside_unread(unread)
        decision = promotion.judge(ledger, evaluation, rules, actor=ACTOR)
        over = self._backtest(platform)
        pictures, described = draw(evaluation), card.render(bundle, evaluation, decision, over)
        if over:
            pictures |= draw_backtest(over)
        files = {
            "evaluation.json": evaluation.to_json().encode(),
            "card.md": described.encode(),
            BASELINE_FILE: plain.save().encode(),
            "report.html": report.render(bundle, evaluation, decision, pictures, over).encode(),
        }
        uri = registry.put_evaluation(bundle.model, version, evaluation.id, files)
        if not decision.promote:
            promotion.settle(ledger, registry, bundle, evaluation, decision, actor=ACTOR)
        return Judged(evaluation, decision, pictures, described, uri, rows.manifest.edition_id)

    def backtest(self, platform: Platform, told: Callable[[Fold], None]) -> Backtested:
        """Train and test the declared folds and keep what came of it; `told` hears of each."""
        made = backtest(
            platform.published(),
            self.declaration,
            self._definition(platform),
            code=self.training_code,
            codes=self._codes,
            found=self._found(platform),
            told=told,
        )
        pictures = draw_backtest(made)
        files = {f"{name}.png": picture.png for name, picture in pictures.items()}
        files["backtest.json"] = made.to_json().encode()
        uri = platform.registry().put_backtest(self.declaration.name, self.training_code, files)
        return Backtested(made, pictures, uri)

    def _backtest(self, platform: Platform) -> Backtest | None:
        """The one kept for what a candidate is made by now, if there is one and it is still declared."""
        kept = platform.registry().get_backtest(self.declaration.name, self.training_code)
        return Backtest.from_json(kept) if kept and self.declaration.backtest else None

    def _found(self, platform: Platform) -> Found | None:
        """What a search found for the newest candidate of this declaration; None: nothing is searched yet."""
        newest = platform.ledger().newest(self.declaration.name, "registered")
        if newest is None or self.declaration.search is None:
            return None
        bundle = platform.registry().get(self.declaration.name, newest.version)
        return (
            found_for(bundle) if bundle.declaration.training_code == self.declaration.training_code else None
        )

    def settle(self, platform: Platform, reference: Value) -> tuple[promotion.Outcome, Gauntlet]:
        """Promote the version that the evaluation lets through, and keep the edition it was made from.

        The last requests are replayed on it first, and its Bento is held to the offline path, unless it is
        champion already: what is beyond its budget, or differs, refuses it.
        """
        registry = platform.registry()
        version, evaluation_id = reference["version"], reference["evaluation"]
        bundle = registry.get(self.declaration.name, version)
        kept = registry.get_evaluation(self.declaration.name, version, evaluation_id, "evaluation.json")
        evaluation, ledger = Evaluation.from_json(kept), platform.ledger()
        decision = promotion.judge(ledger, evaluation, self.declaration.gate, actor=ACTOR)
        champion, asked = ledger.champion(self.declaration.name), Gauntlet()
        if decision.promote and not (champion and champion.version == version):
            asked = self._ask(platform, bundle, champion)
            decision = asked.judged(decision)
        if decision.promote:  # before it is: a version ever promoted has its tag, wherever this is killed
            keep_edition(platform.published(), bundle, reference["edition"])
        return promotion.settle(ledger, registry, bundle, evaluation, decision, actor=ACTOR), asked

    def _ask(self, platform: Platform, bundle: Bundle, champion: Entry | None) -> Gauntlet:
        """Ask a candidate, first about the last requests beside the champion, then over HTTP."""
        replayed = None
        if champion:
            theirs = platform.registry().get(self.declaration.name, champion.version)
            plan = self.declaration.gate.replay
            given = replay.asked(platform.settings, theirs, bundle, plan.requests)
            replayed = given and replay.replay(theirs, bundle, given, plan)
            if replayed and replayed.is_within:
                answers = on_answers(platform.settings, theirs, bundle)
                replayed = replay.beside_answers(replayed, answers, plan)
        if replayed and not replayed.is_within:
            return Gauntlet(replayed)
        proven = prove(platform, self.runner.manifest, self._definition(platform), bundle)
        return Gauntlet(replayed, proven)

    def pack(self, platform: Platform, version: str) -> packaging.PackedBento:
        """Build the Bento of a version, with the online tables of the newest edition beside it."""
        return packaging.pack(platform.settings, platform.registry().get(self.declaration.name, version))

    @staticmethod
    def as_value(origins: Origins) -> Mapping[str, Any]:
        """The manifest and all that its rows are from as JSON values."""
        value: dict[str, Any] = canonical.plain(origins)
        return value

    @staticmethod
    def _origins(training_set: Value) -> Origins:
        return canonical.loads(Origins, json.dumps(training_set))

    def _load(self, platform: Platform, training_set: Value) -> TrainingSet:
        manifest = canonical.loads(Manifest, json.dumps(training_set["manifest"]))
        if manifest.train.rows_sha256 not in self._rows:
            self._remember(TrainingSet.load(manifest, platform.published()))
        return self._rows[manifest.train.rows_sha256]

    def _remember(self, rows: TrainingSet) -> None:
        self._rows.clear()
        self._rows[rows.manifest.train.rows_sha256] = rows

    def _definition(self, platform: Platform) -> FeatureDefinition:
        table = self.declaration.features.table
        with platform.workshop().turn():
            sql = self.runner.online_sql(table)
        return FeatureDefinition.from_manifest(self.runner.manifest, table, sql)

    def _champion(self, platform: Platform) -> tuple[Scorer | None, MadeByOtherEngine | None]:
        """The champion, if there is one; or why it can't be read by the engine that is installed."""
        now = platform.ledger().champion(self.declaration.name)
        try:
            bundle = now and platform.registry().get(self.declaration.name, now.version)
            return bundle and Scorer(bundle), None
        except MadeByOtherEngine as refusal:
            return None, refusal


def _span(part: Value) -> Span:
    return Span(date.fromisoformat(part["first_day"]), date.fromisoformat(part["last_day"]))
