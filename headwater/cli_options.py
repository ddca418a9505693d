"""Options that several commands share."""

import click

DAY = click.DateTime(formats=["%Y-%m-%d"])
MOMENT = click.DateTime(formats=["%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"])
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
