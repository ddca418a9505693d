"""The command line: what each command is called and takes; what it does is in the module of its name.

No imports of Dagster, dbt or BentoML here: `headwater --help` answers at once.
"""

import sys
from datetime import UTC, date, datetime
from typing import IO

import click

from headwater.cli_keys import key
from headwater.cli_options import DAY, MOMENT, as_json
from ml.errors import HeadwaterError


class Commands(click.Group):
    """Turns an error raised on purpose into its message and exit code 1, with no stack trace."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except HeadwaterError as error:
            click.secho(f"headwater: {error}", err=True, fg="red")
            sys.exit(1)
        except KeyboardInterrupt:
            click.secho(
                "headwater: interrupted; what was started is stopped, nothing is half-written", err=True
            )
            sys.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="headwater")
def main() -> None:
    """One lineage from landed files to a served model.

    Files that land in landing/ become tables, features, a trained and judged model and a live HTTP endpoint;
    Dagster's UI shows all of it. State lives in .headwater/ (HEADWATER_HOME), nothing is written elsewhere.

    Exit codes: 0 done, 1 an error that the message explains, 2 wrong usage, 130 interrupted.
    """


main.add_command(key)


@main.command()
@click.option(
    "--until",
    type=DAY,
    metavar="DAY",
    help="Land the shipped data up to this day first.  [the first time: nine months of each]",
)
@click.option("--endpoint/--no-endpoint", default=True, help="Whether to start the HTTP endpoint.")
@as_json
def up(until: datetime | None, endpoint: bool, as_json: bool) -> None:
    """Compute what is not computed yet, then start the UI, the sensors and the endpoint.

    The first time it lands nine months of real data, builds every table, trains, judges and promotes the
    models. Later it only does what is new. Everything keeps running after the command ends; stop it with
    `headwater down`. Ctrl-C stops what was started.
    """
    from headwater.up import bring_up

    bring_up(_day(until), with_endpoint=endpoint, as_json=as_json)


@main.command()
@as_json
def down(as_json: bool) -> None:
    """Stop the UI, the sensors and the endpoint; requests in flight are finished. Data stays."""
    from headwater.down import bring_down

    bring_down(as_json=as_json)


@main.command()
@as_json
def status(as_json: bool) -> None:
    """Show what runs, what has landed, what is computed, and which model serves since when."""
    from headwater.status import show_status

    show_status(as_json=as_json)


@main.command()
@click.option(
    "--from", "first", type=DAY, metavar="DAY", help="First day to land.  [default: the data's first day]"
)
@click.option("--until", type=DAY, metavar="DAY", required=True, help="Last day to land, included.")
@as_json
def land(first: datetime | None, until: datetime, as_json: bool) -> None:
    """Write the shipped data into landing/ as it would arrive: files of days in 2013, of weeks in 2015.

    What lands is the data that had begun last by then: the flights of 2013, the pizzas of 2015. Files that
    are there already stay as they are, so an interrupted landing is simply repeated. With the project up, the
    sensor notices new files within seconds.
    """
    from headwater.land import land_days

    land_days(_day(first), until.date(), as_json=as_json)


@main.command()
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option(
    "--file", type=click.File("r"), help="A JSON list of instances to ask for; `-` reads standard input."
)
@click.option("--model", metavar="NAME", help="Which model to ask.  [default: the one at /predict]")
@as_json
def predict(fields: tuple[str, ...], file: IO[str] | None, model: str | None, as_json: bool) -> None:
    """Ask the endpoint for predictions.

    \b
    headwater predict                                   the endpoint's own example
    headwater predict --model pizza_demand              another model's
    headwater predict origin_id=JFK dest_id=SFO ...     the example, with these fields changed
    headwater predict --file flights.json               a list of instances
    """
    from headwater.predict import ask

    ask(fields, file, model, as_json=as_json)


@main.command()
@click.option(
    "--cutoffs",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many instants to look at.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Which sample of instants; a seed repeats it.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="A table to audit; may be repeated.  [default: all]",
)
@as_json
def audit(cutoffs: int, seed: int, tables: tuple[str, ...], as_json: bool) -> None:
    """Look for leaks from the future in features, labels and published tables.

    For each of some instants it removes, and scrambles, every raw row that was known only later, computes
    the tables again and compares the rows that were due by then to the bit. A leak is told with its table,
    column, entity and the raw rows it comes from, and the exit code is 1. Nothing of the project is changed.
    """
    from headwater.audit import audit_tables

    audit_tables(tables, cutoffs, seed, as_json=as_json)


@main.command()
@click.argument("source", required=False)
@click.option("--day", type=DAY, metavar="DAY", help="Only the file of this day.")
@as_json
def quarantine(source: str | None, day: datetime | None, as_json: bool) -> None:
    """Show the rows that were kept out because they break a rule, and what changed about files.

    Each bad cell is told with its file, row, column, value and rule (with --json all of them, and the file's
    SHA-256); only the newest file of a day counts. Waits for a run that is writing.
    """
    from headwater.quarantine import show_quarantine

    show_quarantine(source, _day(day), as_json=as_json)


@main.command()
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="A table to prove; may be repeated.  [default: all]",
)
@as_json
def prove(tables: tuple[str, ...], as_json: bool) -> None:
    """Prove that tables are what a full rebuild gives, with any number of threads.

    It rebuilds all tables from raw, beside those that stand, and compares them to the bit; and it builds the
    newest days with 1, 2 and 4 threads. A table that is otherwise is told with its column, row and day, and
    the exit code is 1. What is stale, and so waits to be computed anew, is told and not judged. Nothing of
    the project is changed. The job `proofs` does the same every night, and blocks training.
    """
    from headwater.prove import prove_tables

    prove_tables(tables, as_json=as_json)


@main.command()
@click.argument("model", required=False)
@as_json
def backtest(model: str | None, as_json: bool) -> None:
    """Train before each past month or week, test on it, and show how that went.

    MODEL may be left out: then all models that declare a `backtest`. The folds are those of its declaration;
    the next evaluation shows them. What serves is not touched. The job `backtests` does the same every week.
    """
    from headwater.backtest import run_backtests

    run_backtests(model, as_json=as_json)


@main.command()
@click.argument("model", required=False)
@click.option(
    "--at", type=MOMENT, metavar="TIME", help="Show what held then instead, UTC, such as 2026-03-01T10:04Z."
)
@as_json
def ledger(model: str | None, at: datetime | None, as_json: bool) -> None:
    """Show what happened to models: when, to which version, by whom and why.

    \b
    registered    a candidate was trained, its bundle is stored
    compared      it was tested beside the champion: the difference, p, and what of the year's level was spent
    refused       it is not promoted, with the reason
    promoted      it is champion
    rolled_back   it is champion again
    loaded        a server process answers with it; stopped: the process ended

    With --at, shows which version was champion at that time and what each server process had loaded. The rows
    are only ever added; neither this command nor the database changes one.
    """
    from headwater.ledger import show_ledger

    show_ledger(model, at.replace(tzinfo=UTC) if at else None, as_json=as_json)


@main.command()
@click.argument("model", required=False)
@click.option("--to", metavar="VERSION", help="A champion before, or how its version begins.  [the last one]")
@click.option("--reason", default="asked for", show_default=True, help="Why, for the ledger.")
@as_json
def rollback(model: str | None, to: str | None, reason: str, as_json: bool) -> None:
    """Make the champion before champion again, at once and for all servers that follow the ledger.

    MODEL may be left out where there is one. The bundle is verified first; if it is damaged, nothing changes.
    Later candidates are judged beside the champion that is back, and the evaluation that promoted what is
    left behind does not promote it again. Rolling back twice goes back two champions.
    """
    from headwater.rollback import go_back

    go_back(model, to, reason, as_json=as_json)


@main.command()
@click.argument("version")
@as_json
def rebuild(version: str, as_json: bool) -> None:
    """Make a version of a model again from its receipt, and compare it to the bit.

    VERSION is the beginning of one, of any model. Its raw files are checked and taken in again, its tables
    built again by the SQL it was made by, and it is trained again, all in a temporary folder: whatever data
    and code have become since. Rows are compared day by day, with the pinned snapshot too, then the digests
    of the trees and of the predictions on the test rows. What differs is told by name, and the exit code is
    1 when the model is another or any of its rows are lost. Nothing of the project is changed.
    """
    from headwater.rebuild import rebuild_version

    rebuild_version(version, as_json=as_json)


@main.command()
@click.argument("answer_id", metavar="ID")
@as_json
def receipt(answer_id: str, as_json: bool) -> None:
    """Walk an answer of the endpoint down to the raw files, and verify each step.

    ID is the "id" of the answer. The score is computed again from the logged features, the features by their
    SQL over the online tables as they were, and every digest is held against what it names. Exit code 1 when
    something is not what it was.
    """
    from headwater.receipt import show_receipt

    show_receipt(answer_id, as_json=as_json)


@main.command()
@click.option(
    "--until", type=DAY, metavar="DAY", help="Last day to live through.  [default: the year's last]"
)
@click.option(
    "--pace",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long a day takes at least.",
)
@click.option(
    "--fault", "faults", multiple=True, metavar="NAME@DAY", help="Plant a fault; may be given several times."
)
@click.option("--daily/--no-daily", default=True, help="Compare with a retrain every day.")
@as_json
def simulate(
    until: datetime | None, pace: float, faults: tuple[str, ...], daily: bool, as_json: bool
) -> None:
    """Live through the days of the shipped flights that are still to come, and report.

    With the project up: the flights of each day are asked of the endpoint, then the day's files land, the
    sensor computes them and the retrain policy decides. In the end it says how good the answers were, how
    good they would have been without the loop and with a retrain every day, what each cost, and what was
    noticed when.

    \b
    broken_file     the day's weather file is cut off; a sound one comes a day later
    shifted_sensor  the thermometer at JFK shows 25 °F too much from then on
    storm           three days of wind and rain, two flights in five are cancelled
    new_carrier     an eighth of the flights goes to a carrier never seen
    silent_unit     temperatures come in °C instead of °F
    """
    from headwater.simulate import simulate as live

    live(_day(until), faults, pace_s=pace, daily=daily, as_json=as_json)


@main.command()
@click.argument("file")
@click.option("--execute", is_flag=True, help="Undo it: make everything as if the file had never come.")
@click.option("--reason", default="asked for", show_default=True, help="Why, for the ledger.")
@as_json
def recall(file: str, execute: bool, reason: str, as_json: bool) -> None:
    """Show what a raw file reached, and undo it.

    FILE is a landed file, the name of a kept copy, or the beginning of a SHA-256; also one that a corrected
    file has replaced since. Shown are days of tables, features, versions of models, when these were champion
    and which server processes answered with them.

    With --execute its bytes are refused from now on and its copy is set aside; a champion it reached is
    rolled back to the last one it did not reach, what was made from it is computed again, and models are
    trained again. Where no champion is free of it, the one trained again is promoted when it reaches the
    declared floors; if that fails the old one goes on serving, and the exit code is 1. Killed, it goes on
    when given again.
    """
    from headwater.recall import recall_file

    recall_file(file, reason, execute=execute, as_json=as_json)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
