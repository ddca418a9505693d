"""The commands for the keys of the endpoint's callers; what they do is `keys`'."""

import click

from headwater.cli_options import as_json
from ml.access_keys import SCOPES, Scope


@click.group()
def key() -> None:
    """Make, list and revoke the keys that callers of the endpoint show.

    On 127.0.0.1 nobody needs one. With HEADWATER_HOST any other address, or with HEADWATER_KEYS naming a
    file of keys, every request does: "Authorization: Bearer <key>". A change is noticed within a second.
    """


@key.command("add")
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, default=["predict"], show_default=True
)
@click.option("--per-second", type=click.FloatRange(min=0, min_open=True), help="How often it may ask.")
@as_json
def add_key(name: str, scopes: tuple[Scope, ...], per_second: float | None, as_json: bool) -> None:
    """Make a key and print it, once: only its hash is kept.

    \b
    predict    ask for predictions, read what serves
    receipts   walk answers down to the raw files
    admin      all of it, and the metrics
    """
    from headwater.keys import make

    make(name, scopes, per_second, as_json=as_json)


@key.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """Show names, scopes and rates of the keys."""
    from headwater.keys import show

    show(as_json=as_json)


@key.command("revoke")
@click.argument("name")
@as_json
def revoke_key(name: str, as_json: bool) -> None:
    """Let a key open nothing from now on."""
    from headwater.keys import revoke

    revoke(name, as_json=as_json)
