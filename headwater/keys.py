"""`headwater key`: the keys of those who may ask the endpoint.

How they are kept is `ml.access_keys`'s; the endpoint reads the file again by itself.
"""

from collections.abc import Sequence

from headwater.console import Voice
from ml.access_keys import Scope, add_key, read_keys, revoke_key
from ml.settings import Settings


def make(name: str, scopes: Sequence[Scope], per_second: float | None, *, as_json: bool) -> None:
    """Print a new key; raises AccessKeyExists or AccessKeysUnreadable."""
    file = Settings.from_env().keys
    key = add_key(file, name, scopes, per_second)
    voice = Voice(as_json, {"name": name, "key": key, "scopes": list(scopes), "file": str(file)})
    voice.say(f"[bold]{key}[/]")
    voice.say(f"key {name} for {' and '.join(scopes)}; it is shown this once, {file} keeps its hash")
    voice.finish()


def show(*, as_json: bool) -> None:
    """Print what keys there are; raises AccessKeysUnreadable."""
    file = Settings.from_env().keys
    keys = read_keys(file)
    voice = Voice(as_json, {"file": str(file), "keys": []})
    for one in keys:
        told = {"name": one.name, "scopes": list(one.scopes), "per_second": one.per_second}
        voice.facts["keys"].append(told | {"made_at": one.made_at})
        rate = "" if one.per_second is None else f", {one.per_second:g} times a second"
        voice.say(f"{one.name:<24} {' '.join(one.scopes)}{rate}, made {one.made_at:%Y-%m-%d}")
    if not keys:
        voice.say(f"no keys in {file}")
    voice.finish()


def revoke(name: str, *, as_json: bool) -> None:
    """Take a key away; raises NoSuchAccessKey or AccessKeysUnreadable."""
    file = Settings.from_env().keys
    revoke_key(file, name)
    voice = Voice(as_json, {"name": name, "file": str(file)})
    voice.say(f"key {name} opens nothing any more; endpoints notice within a second")
    voice.finish()
