"""What sqlfluff's Jinja templater needs of dbt to render this project's own macros.

Linting without dbt takes no profile and no database; nothing here runs in dbt.
"""

import datetime
from collections.abc import Callable
from types import SimpleNamespace

from jinja2 import pass_context
from jinja2.runtime import Context

_VARS = {
    "start_day": "2013-01-01",
    "end_day": "2013-01-31",
    "execution": "batch",
    "usual_zone": "America/New_York",
}


@pass_context
def _dispatch(context: Context, name: str) -> Callable[..., str]:
    return context[f"duckdb__{name}"]


class _Macros:
    """dbt's `context`: macros by name. Their text is linted where it stands."""

    def __getitem__(self, name: str) -> Callable[..., str]:
        return lambda *_args, **_named: "select 1 as one"


adapter = SimpleNamespace(dispatch=_dispatch)
context = _Macros()
execute = False
model = SimpleNamespace(config=SimpleNamespace(meta={}))
modules = SimpleNamespace(datetime=datetime)
var = _VARS.__getitem__
