"""The ledger's table, which takes new rows only, and what a row of it says.

What may be added when, and what the rows say together, is the ledger's own matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

ENTRIES = sa.Table(
    "ledger",
    sa.MetaData(),
    sa.Column("entry", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.DateTime, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(64)),
    sa.Column("uri", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("actor", sa.String(200)),
    sa.Column("details", sa.JSON, nullable=False),
    # What may happen only once: `registered:<model>:<version>`, `champion:<model>:<n>` as the n-th change.
    sa.Column("once", sa.String(500), unique=True),
    sa.Index("ledger_of_model", "model", "kind", "entry"),
)

_REFUSAL = "the ledger is append-only"
_GUARDS = {
    "sqlite": (
        f"""create trigger ledger_no_update before update on ledger
            begin select raise(abort, '{_REFUSAL}'); end""",
        f"""create trigger ledger_no_delete before delete on ledger
            begin select raise(abort, '{_REFUSAL}'); end""",
        # "insert or replace" deletes without that trigger.
        f"""create trigger ledger_no_replace before insert on ledger
            when exists (select 1 from ledger where entry = new.entry or once = new.once)
            begin select raise(abort, '{_REFUSAL}'); end""",
    ),
    "postgresql": (
        f"""create or replace function ledger_is_append_only() returns trigger language plpgsql
            as $$ begin raise exception '{_REFUSAL}'; end $$""",
        """create trigger ledger_no_change before update or delete or truncate on ledger
            for each statement execute function ledger_is_append_only()""",
    ),
}
for _dialect, _statements in _GUARDS.items():
    for _statement in _statements:
        _guard = sa.DDL(_statement)  # type: ignore[no-untyped-call]
        sa.event.listen(ENTRIES, "after_create", _guard.execute_if(dialect=_dialect))


@dataclass(frozen=True)
class Entry:
    """One row of the ledger; `at` is UTC and never earlier than that of the entry before.

    `kind` is one of

    - decided: whether it is due to be trained again, `version` being the champion; `details` has the numbers
    - registered: the version's bundle lies at `uri`
    - compared: it was put to the test beside the champion `previous`; `details` has the numbers
    - refused: it is not promoted
    - promoted: it is champion in place of `previous`
    - rolled_back: it is champion again in place of `previous`
    - loaded: a server process answers with it; stopped: the process does no more
    - log_gap: answers of a process that ended are not in the prediction log; `details` says which
    """

    entry: int
    at: datetime
    kind: str
    model: str
    version: str
    previous: str | None
    uri: str | None
    reason: str | None
    actor: str | None
    details: Mapping[str, Any]


def entry_of(row: Any) -> Entry:
    """The entry in a row of the table."""
    values = dict(row._mapping)
    values.pop("once")
    return Entry(**{**values, "at": values["at"].replace(tzinfo=UTC)})
