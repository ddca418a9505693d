"""What the assets call that look at a model after its training, or ask it: quality, drift, answers, batches.

No Dagster events here, and no maths: `ml` does the work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow.parquet as pq

from assets.resources import Platform
from ml.answers_again import Again, answers_again
from ml.coming import Batch, coming, predict
from ml.declaration import ModelDeclaration
from ml.ledger_entries import Entry
from ml.live_quality import LiveQuality, live_quality
from ml.live_quality import file_of as live_quality_file
from ml.observing import Drift, Observed, keep
from ml.online import OnlineStore
from ml.plots import Picture
from ml.plots_observed import draw_drift, draw_quality
from ml.quality import Quality

_BATCHES_KEPT = 30
S = TypeVar("S")


@dataclass(frozen=True)
class Seen(Generic[S]):
    """What was seen of a champion after its training, and its pictures."""

    what: S
    pictures: Mapping[str, Picture]


@dataclass(frozen=True)
class Predicted:
    """A batch of predictions, and its file."""

    batch: Batch
    path: Path


@dataclass(frozen=True)
class Looks:
    """One model's, as the ledger and the lake are when asked."""

    declaration: ModelDeclaration
    outcomes: str | None = None  # the table of its predictions with their outcomes, where there is one

    def quality(self, platform: Platform) -> Seen[Quality] | None:
        """Measure champion, candidate and baseline on the days since, and keep what is found."""
        observed = Observed.now(platform.settings, self.declaration)
        if observed is None:
            return None
        made = observed.quality()
        keep(platform.settings, self.declaration.name, "quality.json", made.to_json())
        crowned = platform.ledger().history(self.declaration.name, "promoted")
        return Seen(made, draw_quality(made, _promoted_on(crowned)))

    def drift(self, platform: Platform) -> Seen[Drift] | None:
        """Hold the newest days against the champion's training rows, and keep what is found."""
        observed = Observed.now(platform.settings, self.declaration)
        made = observed and observed.drift()
        if made is None:
            return None
        keep(platform.settings, self.declaration.name, "drift.json", made.to_json())
        return Seen(made, draw_drift(made))

    def live_quality(self, platform: Platform) -> LiveQuality | None:
        """Hold what was predicted beside what came true, and keep it for those who show it."""
        made = live_quality(platform.settings, self.declaration, outcomes=self.outcomes)
        if made:
            file = live_quality_file(platform.settings, made.model)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".part")
            partial.write_text(made.to_json())
            partial.replace(file)
        return made

    def answers_again(self, platform: Platform) -> Again:
        """Compute a sample of the answers logged yesterday and today again."""
        today = datetime.now(UTC).date()
        days = [today - timedelta(days=1), today]
        return answers_again(platform.settings, self.declaration.name, days)

    def predict_coming(self, platform: Platform) -> Predicted | None:
        """Ask the champion about the rows of the spine that are still to come, and keep what it says.

        None while there is no champion. The newest batches are kept.
        """
        now = platform.ledger().champion(self.declaration.name)
        if now is None:
            return None
        published, bundle = platform.published(), platform.registry().get(self.declaration.name, now.version)
        edition = published.edition()
        store = OnlineStore.from_published(published, edition, bundle.contract.online_tables)
        batch = predict(bundle, store, coming(published, edition, bundle))
        folder = platform.settings.batch_predictions / self.declaration.name
        path = folder / f"{batch.edition:08}-{batch.version[:12]}.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        pq.write_table(batch.rows, partial, compression="zstd")
        partial.replace(path)
        for old in sorted(folder.glob("*.parquet"))[:-_BATCHES_KEPT]:
            old.unlink()
        return Predicted(batch, path)


def _promoted_on(entries: Sequence[Entry]) -> list[date]:
    """The newest labelled day at each promotion, where it was noted."""
    days = [one.details.get("labelled_until") for one in entries]
    return [date.fromisoformat(day) for day in days if day]
