"""What a person sees of long work: bars on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_PLAIN_EVERY = 0.1
"""Plain mode tells every tenth of the way."""


class Display:
    """Steps and bars; `out` is where results go, everything else goes to standard error."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.out = Console(file=sys.stdout, soft_wrap=True, highlight=False)
        self._err = Console(file=sys.stderr, quiet=quiet, soft_wrap=True, highlight=False)

    def step(self, text: str) -> None:
        """One line about what begins or is done."""
        self._err.print(f"  {text}" if self._err.is_terminal else text, markup=False)

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator["Bar"]:
        """A progress bar over `total` units."""
        if not self._err.is_terminal:
            yield Bar(None, text, total, self)
            return
        columns: tuple[Any, ...] = (
            SpinnerColumn(),
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._err) as progress:
            yield Bar(progress, text, total, self)

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """A two-column table on standard output."""
        table = Table(title=title, show_header=False, title_justify="left")
        table.add_column(justify="left")
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        self.out.print(table)


class Bar:
    """One bar; `to(n)` sets it, `by(n)` moves it."""

    def __init__(self, progress: Progress | None, text: str, total: int, display: Display) -> None:
        self._progress = progress
        self._text = text
        self._total = max(1, total)
        self._display = display
        self._task = progress.add_task(text, total=total) if progress else None
        self._told = 0.0
        self.done = 0

    def by(self, count: int) -> None:
        """So many units more."""
        self.to(self.done + count)

    def to(self, done: int) -> None:
        """So many units altogether."""
        self.done = done
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done)
        elif done / self._total >= self._told + _PLAIN_EVERY or (done >= self._total and self._told < 1):
            self._told = done / self._total
            self._display.step(f"{self._text}: {done} of {self._total}")
