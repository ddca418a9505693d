"""One declared model as assets, each derived from the one declaration.

What each asset is and shows is `model_assets`'; how a model is trained, judged and promoted is `ml`'s.
"""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from pydantic import Field

from assets.components import model_assets as make
from assets.components import observed_assets as look
from assets.components.dbt_translator import TableTranslator
from assets.components.model_steps import Steps
from assets.components.observed_steps import Looks
from assets.dbt_nodes import table_meta, tables_of
from assets.dbt_runner import DbtRunner
from assets.table_code import project_code
from ml.declaration import ModelDeclaration
from ml.errors import DeclarationRefused, Problem, nearest
from ml.feature_definition import columns_of, published_spine
from ml.places import declaration_files, declarations
from ml.settings import Settings


class DeclaredModel(ModelDeclaration):
    """A model's declaration, and how it is presented in the UI."""

    description: str = Field(min_length=1)
    owners: tuple[str, ...] = ()

    @property
    def declaration(self) -> ModelDeclaration:
        """What the model itself is: this without its presentation."""
        return ModelDeclaration.parse(self.model_dump(exclude={"description", "owners"}))


def declared_models(project: Path) -> tuple[DeclaredModel, ...]:
    """The models declared under `assets/defs/`.

    Raises DeclarationRefused, which names file, line, value and what is allowed; what Dagster raises of the
    same file does not.
    """
    return tuple(
        DeclaredModel.parse(attributes, str(file))
        for file in declaration_files(project)
        for attributes in declarations(file, PredictionModel.__name__)
    )


class PredictionModel(dg.Component):
    """A model that predicts a label from a feature table; `attributes` are its declaration."""

    def __init__(self, declared: DeclaredModel, where: str = "") -> None:
        self.declared, self._where = declared, where

    @classmethod
    def get_model_cls(cls) -> type[DeclaredModel]:
        return DeclaredModel

    @classmethod
    def load(cls, attributes: DeclaredModel | None, context: dg.ComponentLoadContext) -> "PredictionModel":
        assert attributes is not None  # noqa: S101  dagster gives the model that get_model_cls names
        return cls(attributes, str(context.path / "defs.yaml"))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        settings = Settings.from_env()
        runner = DbtRunner(settings)
        declaration = self.declared.declaration
        features, label = declaration.features.table, declaration.label.table
        self._refuse_unknown_tables(runner)
        columns = {
            table: [column.name for column in columns_of(runner.manifest, table)]
            for table in (features, label)
        }
        declaration.validate_against(columns[features], columns[label], self._where)
        project_code(runner).check_served(features)
        shown = make.Shown(self.declared, settings.ledger_url.partition(":")[0])
        outcomes = _outcomes_of(runner, declaration.name)
        steps, looks = Steps(declaration, runner), Looks(declaration, outcomes)
        tables = _keys(runner, (features, label))
        read = (label, features) if outcomes is None else (label, features, outcomes)
        return dg.Definitions(
            assets=[
                look.quality(looks, shown, tables),
                look.drift(looks, shown, tables),
                make.training_set(steps, shown, tables),
                make.candidate(steps, shown),
                make.evaluation(steps, shown),
                make.champion(steps, shown),
                make.bento(steps, shown),
                make.endpoint(shown),
                look.live_quality(looks, shown, _keys(runner, read)),
                *self._coming(looks, shown, runner),
                *([make.backtest(steps, shown, tables)] if declaration.backtest else []),
            ],
            asset_checks=[look.answers(looks, shown)],
        )

    def _coming(self, looks: Looks, shown: make.Shown, runner: DbtRunner) -> list[dg.AssetsDefinition]:
        """Predictions of those to come, where the table that tells of them is published."""
        spine = published_spine(runner.manifest, self.declared.features.table)
        if spine is None:
            return []
        return [look.batch_predictions(looks, shown, _keys(runner, (spine, self.declared.features.table)))]

    def _refuse_unknown_tables(self, runner: DbtRunner) -> None:
        tables = [node["name"] for node in tables_of(runner.manifest)]
        named = {"features.table": self.declared.features.table, "label.table": self.declared.label.table}
        problems = tuple(
            Problem(field, name, f"no such table in the dbt project. {nearest(name, tables)}")
            for field, name in named.items()
            if name not in tables
        )
        if problems:
            raise DeclarationRefused(self.declared.name, problems, self._where)


def _outcomes_of(runner: DbtRunner, model: str) -> str | None:
    """The published table that says it holds a model's predictions with their outcomes."""
    named = (
        node["name"] for node in tables_of(runner.manifest) if table_meta(node).get("outcomes_of") == model
    )
    return next(named, None)


def _keys(runner: DbtRunner, tables: Sequence[str]) -> list[dg.AssetKey]:
    translator = TableTranslator(runner.manifest)
    return [translator.get_asset_key(node) for node in tables_of(runner.manifest) if node["name"] in tables]
