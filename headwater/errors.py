"""What can go wrong on the command line, beyond the library's own errors.

No exit codes: `cli` turns any of these into one.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from ml.errors import HeadwaterError, nearest

_NO_KEY = 401


class PortTaken(HeadwaterError):
    """A port that a process of the project needs is used by something else."""

    def __init__(self, *, name: str, port: int) -> None:
        variable = f"HEADWATER_{name.upper()}_PORT"
        super().__init__(
            f"{name} can't start: port {port} is taken by another program. "
            f"Stop that program, or choose another port with {variable}=…"
        )


class NotReady(HeadwaterError):
    """A process ended, or took too long, before it was ready."""

    def __init__(self, *, name: str, log: Path, tail: str) -> None:
        super().__init__(f"{name} did not get ready. Its log, {log}, ends with:\n{tail}")


class NothingServes(HeadwaterError):
    """A prediction was asked for while no endpoint answers."""

    def __init__(self, *, url: str, cause: str) -> None:
        super().__init__(f"No endpoint answers at {url} ({cause}). Start it with `headwater up`.")


class RequestRefused(HeadwaterError):
    """The endpoint refused a request; the message is the endpoint's."""

    def __init__(self, *, status: int, problem: str) -> None:
        key = " headwater predict sends the key in HEADWATER_KEY." if status == _NO_KEY else ""
        super().__init__(f"The endpoint refused the request ({status}): {problem}{key}")


class RunFailed(HeadwaterError):
    """A run of the asset graph failed; what serves goes on serving."""

    def __init__(self, *, days: str, reasons: list[str], url: str) -> None:
        listed = "\n".join(f"  - {reason}" for reason in reasons)
        super().__init__(f"The run for {days} failed:\n{listed}\nThe whole run: {url}")


class UpWithFailures(HeadwaterError):
    """Something failed on the way up and was told there; what could be started was."""

    def __init__(self, *, n: int) -> None:
        super().__init__(
            f"Up, but {n} thing{'s' if n > 1 else ''} failed: see above, mend it, and come again."
        )


class NothingToServe(HeadwaterError):
    """No model was promoted, so there is nothing that an endpoint could answer with."""

    def __init__(self, *, landing: Path) -> None:
        super().__init__(
            f"No model was promoted yet, and no landed day is due. Land files in {landing} "
            "(`headwater land --until 2013-09-30`), or start without it: `headwater up --no-endpoint`."
        )


class NothingToAudit(HeadwaterError):
    """An audit or a proof was asked for before any day was computed."""

    def __init__(self, *, home: Path) -> None:
        super().__init__(
            f"No day is computed in {home} yet: there is nothing to look at. Run `headwater up` first."
        )


class NotProved(HeadwaterError):
    """A table was named for a proof that the project does not have, or that holds no rows of its own."""

    def __init__(self, *, table: str, known: Iterable[str]) -> None:
        super().__init__(f'"{table}" is no table that holds rows. {nearest(table, known)}')


class NotAudited(HeadwaterError):
    """A table was named that an audit does not look at."""

    def __init__(self, *, table: str, known: Iterable[str]) -> None:
        super().__init__(
            f'"{table}" is no table that an audit looks at: these have prediction_at or label_known_at, or '
            f"are published with known_at. {nearest(table, known)}"
        )


class NoSuchSource(HeadwaterError):
    """A source was named that no declaration makes."""

    def __init__(self, *, source: str, known: Iterable[str]) -> None:
        super().__init__(f'No source "{source}" is declared. {nearest(source, known)}')


class NothingTakenIn(HeadwaterError):
    """Bad rows were asked for before any file was taken in."""

    def __init__(self, *, home: Path) -> None:
        super().__init__(f"No file was taken in yet (home folder {home}). Run `headwater up` first.")


class NothingToBacktest(HeadwaterError):
    """No model, or not the one that was named, declares a backtest."""

    def __init__(self, *, model: str | None, known: Iterable[str]) -> None:
        what = f'Model "{model}" declares' if model else "No model declares"
        others = f" {nearest(model or '', known)}" if known else ""
        super().__init__(
            f"{what} {'no' if model else 'a'} backtest.{others} Add one to its defs.yaml: "
            "backtest: {every: month}."
        )


class NoSuchModel(HeadwaterError):
    """A model was named that the ledger does not know."""

    def __init__(self, *, model: str, known: Iterable[str]) -> None:
        super().__init__(f'The ledger knows no model "{model}". {nearest(model, known)}')


class WhichModel(HeadwaterError):
    """A command for one model was given no name, and there is not just one."""

    def __init__(self, *, models: list[str]) -> None:
        found = (
            f"several models have a champion: {', '.join(models)}" if models else "no model has a champion"
        )
        super().__init__(f"Name the model; {found}.")


class NoSuchFault(HeadwaterError):
    """A fault to be planted was named that there is none of, or without its day."""

    def __init__(self, *, text: str, known: Iterable[str]) -> None:
        name = text.partition("@")[0]
        super().__init__(
            f'"{text}" is no fault with its first day, as silent_unit@2013-10-20 is. {nearest(name, known)}'
        )


class NothingToSimulate(HeadwaterError):
    """No day is left to live through."""

    def __init__(self, *, last: date | None) -> None:
        told = f"the flights until {last} are computed already" if last else "no flight is computed yet"
        super().__init__(
            f"There is no day to live through: {told}. Start from an empty folder "
            "(`make clean`, then `make up`), or name a later --until."
        )


class LoopStuck(HeadwaterError):
    """A day that landed was not computed in time."""

    def __init__(self, *, day: date, home: Path) -> None:
        super().__init__(
            f"The files of {day} landed and were not computed within 15 minutes. "
            f"`headwater status` shows what runs; the logs are in {home / 'log'}."
        )
