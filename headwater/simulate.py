"""`headwater simulate`: live through the days that are still to come of the shipped flights, and report.

How a day is lived through is `simulated_days`', what other ways would have said `ml.simulated`'s.
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime

from assets.components.prediction_model import declared_models
from headwater import nycflights
from headwater.console import Voice
from headwater.errors import NoSuchFault, NoSuchModel, NothingToSimulate
from headwater.instance import make_instance
from headwater.simulated_days import Lived
from headwater.simulated_faults import FAULTS, Planted
from ml.declaration import ModelDeclaration
from ml.settings import Settings
from ml.simulated import Simulated, Way


def simulate(until: date | None, faults: Sequence[str], *, pace_s: float, daily: bool, as_json: bool) -> None:
    """Live until a day; `pace_s` seconds a day at least. Raises what stands between here and a report."""
    voice, settings = Voice(as_json), Settings.from_env()
    make_instance(settings)
    declaration = _declared(settings)
    planted = tuple(map(_planted, faults))
    lived = Lived(settings, declaration, planted)
    lived.refuse_unready()
    days = list(lived.days_until(until or nycflights.LAST_DAY))
    if not days:
        raise NothingToSimulate(last=lived.newest_day())
    began = datetime.now(UTC)
    for day in days:
        started = time.monotonic()
        with voice.step(f"live through {day}") as note:
            lived.live(day)
            time.sleep(max(0.0, pace_s - (time.monotonic() - started)))
            note.text = lived.told[-1]
    with voice.step("compare with other ways"):
        report = lived.report(days, began, daily=daily)
    _tell(voice, settings, report)
    voice.finish()


def _tell(voice: Voice, settings: Settings, report: Simulated) -> None:
    folder = settings.home / "simulations"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{report.model}.json"
    file.write_text(report.to_json())
    voice.facts["report"] = json.loads(report.to_json())
    voice.say()
    answered = f"{report.n_answered:,} of {report.n_asked:,} answered, {report.n_known:,} outcomes known"
    rows = [(way.name, _way(report.metric, way)) for way in report.ways]
    voice.table(f"{report.model}, {report.first_day} to {report.last_day}: {answered}", rows)
    noticed = [
        (str(one.day), f"{one.where}: {one.text}" + (f" ({one.n_days} days)" if one.n_days > 1 else ""))
        for one in report.noticed
    ]
    planted = f" of {', '.join(report.faults)}" if report.faults else ""
    voice.table(f"Noticed{planted}", noticed or [("nothing", "no check failed")])
    voice.table(
        "Decided", [(one[:8], one[9:]) for one in report.decisions] or [("nothing", "no retrain was due")]
    )
    looked_up = "" if report.features_s is None else f"{report.features_s:.1f} s after it landed, and "
    turned = f"the loop had turned in {report.seconds_a_day:.1f} s"
    voice.say(f"Medians: the endpoint looked up a day {looked_up}{turned}.")
    voice.say(f"report: {file}")


def _way(metric: str, way: Way) -> str:
    told = f"{metric} {way.value:.4f} by day, {way.n_trainings} trainings, {way.training_s:.0f} s of training"
    if way.beside is None:
        return told
    sure = f" ({way.low:+.4f} to {way.high:+.4f})" if way.low is not None and way.high is not None else ""
    return f"{told}; the loop is better by {way.beside:+.4f}{sure}"


def _declared(settings: Settings) -> ModelDeclaration:
    """The first model of flights."""
    for one in declared_models(settings.project):
        if one.entity == "flight":
            return one.declaration
    raise NoSuchModel(model="of flights", known=())


def _planted(text: str) -> Planted:
    name, _, day = text.partition("@")
    if name not in FAULTS or not day:
        raise NoSuchFault(text=text, known=FAULTS)
    try:
        return Planted(FAULTS[name], date.fromisoformat(day))
    except ValueError as no_day:
        raise NoSuchFault(text=text, known=FAULTS) from no_day
