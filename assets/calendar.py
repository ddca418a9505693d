"""The days the project knows: one partition a day, the same for every daily asset.

Which days have landed is not said here; landing/ says it.
"""

from datetime import timedelta

import dagster as dg

# The year that the shipped data covers; a project on data that goes on leaves `end_date` out.
DAYS = dg.DailyPartitionsDefinition(start_date="2013-01-01", end_date="2014-01-01")

# A range is one run, never one run a day: a run costs seconds before it does anything.
ONE_RUN = dg.BackfillPolicy.single_run()

# A daily file and what is made from it should be there soon after the next day began.
FRESH_DAILY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=48))
