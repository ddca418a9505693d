"""What a fitted model takes and gives: request columns, features with types and categories, the label.

How values become numbers by it is scoring's matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from ml import canonical
from ml.declaration import ModelDeclaration
from ml.errors import ColumnUnfit, FeaturesEmpty, TooManyCategories
from ml.feature_definition import Column, FeatureDefinition

MAX_CATEGORIES = 500
FeatureType = Literal["integer", "real", "boolean", "category"]


@dataclass(frozen=True)
class Feature:
    """One model input. `categories` in the order of their codes 0, 1, …; a value not among them is missing.

    `minimum` and `maximum` are of the training rows (None for a category, or when all were missing),
    `missing_share` the part of them without a value.
    """

    name: str
    type: FeatureType
    unit: str | None
    description: str
    categories: tuple[str, ...]
    minimum: float | None
    maximum: float | None
    missing_share: float


@dataclass(frozen=True)
class Contract:
    """Everything a caller or an engine must know about the model's input and output.

    `classes` are those of a multiclass label, in the order of their probabilities; `spine` is the published
    table of those asked about, if there is one.
    """

    model: str
    task: str
    entity: str
    key: str
    label: str
    request: tuple[Column, ...]
    features: tuple[Feature, ...]
    online_tables: tuple[str, ...]
    classes: tuple[str, ...] = ()
    spine: str | None = None

    @classmethod
    def learn(
        cls,
        declaration: ModelDeclaration,
        definition: FeatureDefinition,
        train: pa.Table,
        classes: tuple[str, ...] = (),
    ) -> "Contract":
        """Types from the definition; categories and ranges from the training rows.

        Raises DeclarationRefused for a column the definition lacks, ColumnUnfit for one no model can take,
        TooManyCategories or FeaturesEmpty.
        """
        columns = {column.name: column for column in definition.features}
        declaration.validate_against(tuple(columns))
        names = declaration.features.columns
        features = tuple(_feature(columns[name], train[name]) for name in names)
        empty = [one.name for one in features if one.missing_share == 1]
        refused = [name for name in empty if name not in declaration.features.may_be_missing]
        if refused or len(empty) == len(features):
            raise FeaturesEmpty(declaration.name, refused or empty, train.num_rows)
        return cls(
            model=declaration.name,
            task=declaration.task,
            entity=declaration.entity,
            key=definition.key,
            label=declaration.label.column,
            request=definition.request,
            features=features,
            online_tables=definition.online_tables,
            classes=classes,
            spine=definition.spine,
        )

    @property
    def all_missing(self) -> tuple[str, ...]:
        """Features that no training row had, as the declaration says they may."""
        return tuple(feature.name for feature in self.features if feature.missing_share == 1)

    @property
    def categories(self) -> tuple[str, ...]:
        """The features whose numbers are codes."""
        return tuple(feature.name for feature in self.features if feature.type == "category")

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Contract":
        """Read what `to_json` gave."""
        return canonical.loads(cls, text)


def feature_type(column: Column) -> FeatureType:
    """How a model takes the column; raises ColumnUnfit for text that is no category, and for times."""
    if column.is_category:
        return "category"
    types: Mapping[str, FeatureType] = {"integer": "integer", "real": "real", "boolean": "boolean"}
    if column.kind not in types:
        raise ColumnUnfit(
            column.name,
            column.kind,
            "integer, real, boolean, or text with meta 'category: true' (make a time a duration in the SQL)",
        )
    return types[column.kind]


def as_text(values: Any) -> Any:
    """Category values as strings, whatever they are stored as."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _feature(column: Column, values: pa.ChunkedArray) -> Feature:
    kind = feature_type(column)
    categories: tuple[str, ...] = ()
    minimum = maximum = None
    missing = values.null_count
    if kind == "category":
        categories = tuple(sorted(pc.unique(as_text(values)).drop_null().to_pylist()))
        if len(categories) > MAX_CATEGORIES:
            raise TooManyCategories(column.name, len(categories), len(values), MAX_CATEGORIES)
    else:
        numbers = values.cast(pa.float64())
        missing += pc.sum(pc.is_nan(numbers)).as_py() or 0
        if missing < len(values):
            known = numbers.filter(pc.invert(pc.is_nan(numbers))) if missing > values.null_count else numbers
            minimum, maximum = pc.min_max(known).as_py().values()
    return Feature(
        name=column.name,
        type=kind,
        unit=column.unit,
        description=column.description,
        categories=categories,
        minimum=minimum,
        maximum=maximum,
        missing_share=missing / len(values),
    )
