"""`headwater land`: let the shipped data arrive, a day or a range of days at a time.

Which data there is, `shipped` says; which rows are in which file, the landers.
"""

from datetime import date

from headwater.console import Voice
from headwater.shipped import Shipped, shipped_until
from ml.settings import Settings


def land_days(first: date | None, until: date, *, as_json: bool) -> None:
    """Land the days of the data that had begun last by then, and say how many files are new."""
    voice, settings = Voice(as_json), Settings.from_env()
    with voice.step("land files") as note:
        n_new = land_with_bar(voice, settings, shipped_until(until), first, until)
        note.text = (
            f"{n_new} new files in {settings.landing}" if n_new else "nothing new: all were there already"
        )
    voice.facts["new_files"] = n_new
    voice.finish()


def land_with_bar(voice: Voice, settings: Settings, data: Shipped, first: date | None, until: date) -> int:
    """Land the days under a progress bar; how many files are new."""
    with voice.progress("land", None) as bar:
        return data.land(settings.landing, first, until, lambda path: bar.advance(path.name))
