"""A backfill in a process of its own: builds the daily tables for some days, again and again.

python -m tests.assets.racing_backfill FIRST LAST TIMES
"""

import sys

from assets.dbt_nodes import is_daily, tables_of
from assets.dbt_runner import DbtRunner
from ml.lake.workshop import Workshop
from ml.settings import Settings


def main(first: str, last: str, times: str) -> None:
    """Each time in a turn of its own; any table or test that is not good ends the process."""
    runner = DbtRunner(Settings.from_env())
    names = [node["name"] for node in tables_of(runner.manifest) if is_daily(node)]
    for _ in range(int(times)):
        with Workshop(runner.settings).turn():
            bad = [one for one in runner.build(names, first_day=first, last_day=last) if not one.is_good]
        if bad:
            raise SystemExit(str(bad))


if __name__ == "__main__":
    main(*sys.argv[1:])
