"""A bundle's model is read only when its parts agree and its engine's library is the one that fitted it.

That its bytes are those of its index is checked before (`ml.bundle`), its answers after (the endpoint).
"""

from typing import TYPE_CHECKING

from ml.calibration import Calibrated, Calibrator
from ml.engines import ENGINES
from ml.engines.protocol import Fitted
from ml.errors import ContractBroken, MadeByOtherEngine

if TYPE_CHECKING:
    from ml.bundle import Bundle


def read(bundle: "Bundle") -> Fitted:
    """The fitted model of a bundle.

    Raises MadeByOtherEngine for another major version of the engine's library, ContractBroken where
    declaration, contract and model contradict each other, and EngineRefused when the text can't be read.
    """
    refuse_other_engine(bundle)
    declared, contract = bundle.declaration, bundle.contract
    names = tuple(feature.name for feature in contract.features)
    _agree(bundle, "model", declared.name, contract.model)
    _agree(bundle, "task", declared.task, contract.task)
    _agree(bundle, "features", declared.features.columns, names)
    _agree(bundle, "engine", declared.engine.name, bundle.engine)
    fitted = ENGINES[bundle.engine].load(bundle.fitted)
    if fitted.features != names:
        raise ContractBroken(bundle.model, bundle.version, _differ("the model", fitted.features, names))
    return _calibrated(bundle, fitted)


def _calibrated(bundle: "Bundle", fitted: Fitted) -> Fitted:
    """The model with the step after it, where one is declared."""
    declared, text = bundle.declaration.calibration, bundle.calibration
    found = None
    if text is not None:
        try:
            found = Calibrator.from_json(text)
        except ValueError as damage:
            told = f"its calibration can't be read ({str(damage).partition(chr(10))[0]})"
            raise ContractBroken(bundle.model, bundle.version, told) from damage
    _agree(bundle, "calibration", declared and declared.method, found and found.method, "files")
    if found is None:
        return fitted
    _agree(bundle, "calibrated task", bundle.declaration.task, found.task, "files")
    _agree(
        bundle,
        "number of calibrated classes",
        max(1, len(bundle.contract.classes)),
        len(found.steps),
        "files",
    )
    return Calibrated(fitted, found)


def refuse_other_engine(bundle: "Bundle") -> None:
    """Raise MadeByOtherEngine when a library that reads the model is of another major version than then."""
    engine = ENGINES[bundle.engine]
    installed = engine.versions() if engine.reads else {}
    for library in sorted(engine.reads):
        made_by = str(bundle.receipt["versions"].get(library, "an unknown version"))
        if made_by.partition(".")[0] != installed[library].partition(".")[0]:
            raise MadeByOtherEngine(bundle.model, bundle.version, library, made_by, installed[library])


def _agree(
    bundle: "Bundle", what: str, declared: object, contracted: object, place: str = "contract"
) -> None:
    if declared == contracted:
        return
    told = f"its declaration says {what} {declared!r}, its {place} {contracted!r}"
    if isinstance(declared, tuple) and isinstance(contracted, tuple):
        told = _differ("its declaration", declared, contracted)
    raise ContractBroken(bundle.model, bundle.version, told)


def _differ(other: str, theirs: tuple[str, ...], contracted: tuple[str, ...]) -> str:
    only_theirs = [name for name in theirs if name not in contracted]
    only_contracted = [name for name in contracted if name not in theirs]
    if not only_theirs and not only_contracted:
        return f"{other} and its contract have the features in another order"
    parts = [
        f"{who} alone has feature {', '.join(map(repr, names))}"
        for who, names in ((other, only_theirs), ("its contract", only_contracted))
        if names
    ]
    return "; ".join(parts)
