"""The public names of what takes landed files in; each is explained where it is defined."""

from ml.sources.catalogue import declared_sources
from ml.sources.declaration import Source
from ml.sources.landed import Landed, failures, pending
from ml.sources.rebuilding import rebuild_raw
from ml.sources.taking import Intake, TakenIn, take_in

__all__ = [
    "Intake",
    "Landed",
    "Source",
    "TakenIn",
    "declared_sources",
    "failures",
    "pending",
    "rebuild_raw",
    "take_in",
]
