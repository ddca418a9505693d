"""How commands speak: steps with their seconds, tables, one JSON document when asked for.

What is said is each command's own.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table


@dataclass
class Voice:
    """Speaks to a person, or, with `as_json`, keeps quiet until `finish` prints one JSON document."""

    as_json: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    _console: Console = field(default_factory=lambda: Console(highlight=False))
    _bars: dict[str, "Bar"] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator["Note"]:
        """A step that takes a while: its title while it runs, its outcome and seconds when it is done."""
        note, began = Note(), time.monotonic()
        if self.as_json or not self._console.is_terminal:
            yield note
        else:
            with self._console.status(title):
                try:
                    yield note
                finally:
                    self._end_bars()
        seconds = time.monotonic() - began
        self.facts.setdefault("steps", []).append(
            {"step": title, "outcome": note.text, "seconds": round(seconds, 1)}
        )
        mark = "[red]✗[/]" if note.is_failed else "[green]✓[/]"
        self.say(f"{mark} {title:<34} {note.text:<52} [dim]{seconds:5.1f} s[/]")

    @contextmanager
    def progress(self, title: str, total: int | None) -> Iterator["Bar"]:
        """A step with a bar; off a terminal only its end is told."""
        with self._progress() as progress:
            yield Bar(progress, progress.add_task(title, total=total))

    def advance(self, title: str, done: int, total: int | None, text: str) -> None:
        """Within a step: a bar of what is under way in it, once it is told of; off a terminal none."""
        if self.as_json or not self._console.is_terminal:
            return
        if title not in self._bars:
            progress = self._progress()
            progress.start()
            self._bars[title] = Bar(progress, progress.add_task(title, total=total))
        self._bars[title].move_to(done, f"{title}: {text}")
        if done == total:
            self._bars.pop(title).progress.stop()

    def _end_bars(self) -> None:
        while self._bars:
            self._bars.popitem()[1].progress.stop()

    def _progress(self) -> Progress:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        hidden = self.as_json or not self._console.is_terminal
        return Progress(*columns, console=self._console, transient=True, disable=hidden)

    def substep(self, title: str, seconds: float) -> None:
        """One part of a step that is still under way."""
        self.facts.setdefault("substeps", []).append({"step": title, "seconds": round(seconds, 1)})
        self.say(f"    {title:<34} {'':<50} [dim]{seconds:5.1f} s[/]")

    def remark(self, text: str) -> None:
        """Something worth a line of what a step that is still under way found."""
        self.facts.setdefault("remarks", []).append(text)
        self.say(f"    [yellow]{escape(text)}[/]")

    def say(self, line: str = "") -> None:
        """Print a line for a person."""
        if not self.as_json:
            self._console.print(line, soft_wrap=True)

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Print names and values, aligned."""
        table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in rows:
            table.add_row(f"[bold]{name}[/]", value)
        if not self.as_json:
            self._console.print(table)

    def finish(self) -> None:
        """Print the JSON document, when that is what was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(self.facts, indent=2, default=str) + "\n")


@dataclass
class Note:
    """What a step found out, to show when it is done."""

    text: str = ""
    is_failed: bool = False

    def fail(self) -> None:
        """Mark the step as failed."""
        self.text, self.is_failed = "failed", True


@dataclass(frozen=True)
class Bar:
    """A progress bar in use."""

    progress: Progress
    task: Any

    def advance(self, text: str = "") -> None:
        """One more done; `text` says which."""
        self.progress.update(self.task, advance=1, description=text or None)

    def move_to(self, done: int, text: str) -> None:
        """So many done; `text` says what came last."""
        self.progress.update(self.task, completed=done, description=text, refresh=True)
