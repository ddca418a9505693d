"""`headwater rollback`: back to the champion before, in one transaction.

What a rollback is, is `ml.promotion`'s; servers follow the ledger by themselves.
"""

import getpass
import platform
from dataclasses import asdict

from headwater.console import Voice
from headwater.errors import NoSuchModel, WhichModel
from ml.ledger import Ledger
from ml.promotion import roll_back
from ml.registry import Registry
from ml.settings import Settings


def go_back(model: str | None, to: str | None, reason: str, *, as_json: bool) -> None:
    """Make the champion before, or `to`, champion again, and print what is so now.

    Raises:
        NoSuchModel: the ledger knows no model of that name.
        WhichModel: none was named, and there is not exactly one that has a champion.
        HeadwaterError: as `ml.promotion.roll_back` does; nothing is changed then.
    """
    voice, settings = Voice(as_json), Settings.from_env()
    ledger, registry = Ledger(settings.ledger_url), Registry(settings.registry)
    champions = [entry.model for entry in ledger.champions()]
    if model and model not in ledger.models():
        raise NoSuchModel(model=model, known=ledger.models())
    if model is None and len(champions) != 1:
        raise WhichModel(models=champions)
    actor = f"{getpass.getuser()}@{platform.node()}"
    entry = roll_back(ledger, registry, model or champions[0], to, reason=reason, actor=actor)
    voice.facts |= asdict(entry)
    voice.say(
        f"champion of [bold]{entry.model}[/] is {entry.version[:12]} again, in place of "
        f"{str(entry.previous)[:12]}; servers that follow the ledger load it within a second"
    )
    voice.finish()
