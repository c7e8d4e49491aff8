"""Rows, the table and results.json."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from rich.console import Console
from rich.table import Table

RESULTS: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure. `goal` bounds the ratio when there is one to bound (`of` says so), else the value."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    goal: float | None = None
    sense: Literal[">=", "<="] = ">="
    of: Literal["ratio", "value"] = "ratio"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value as a share of the limit."""
        return self.value / self.limit if self.limit else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none: the row only informs."""
        figure = self.ratio if self.of == "ratio" else self.value
        if self.goal is None or figure is None:
            return None
        return figure >= self.goal if self.sense == ">=" else figure <= self.goal

    def as_dict(self, machine: str) -> dict[str, Any]:
        """As it stands in results.json."""
        figures = {"value": round(self.value, 4), "limit": _rounded(self.limit), "ratio": _rounded(self.ratio)}
        goal = None if self.goal is None else f"{self.of} {self.sense} {self.goal:g}"
        kept = {key: value for key, value in asdict(self).items() if key in ("name", "unit", "note")}
        return {**kept, **figures, "goal": goal, "met": self.met, "machine": machine}


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)


def machine() -> str:
    """Processor, cores, kernel and Python, in a line; and how busy the machine was when this was asked."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def save(rows: Sequence[Row], about: str, path: Path = RESULTS) -> None:
    """Writes the rows; those of an earlier run that were not measured now are kept."""
    old = {row["name"]: row for row in orjson.loads(path.read_bytes())} if path.exists() else {}
    merged = old | {row.name: row.as_dict(about) for row in rows}
    path.write_bytes(orjson.dumps(list(merged.values()), option=orjson.OPT_INDENT_2) + b"\n")


def show(rows: Sequence[Row]) -> None:
    """Prints the table."""
    table = Table(title="Benchmarks")
    for heading in ("row", "value", "unit", "limit", "ratio", "goal", "met"):
        table.add_column(heading, justify="left" if heading in ("row", "unit") else "right")
    for row in rows:
        goal = "" if row.goal is None else f"{row.sense} {row.goal:g}"
        met = {None: "", True: "yes", False: "NO"}[row.met]
        table.add_row(row.name, _figure(row.value), row.unit, _figure(row.limit), _figure(row.ratio), goal, met)
    Console(width=120).print(table)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
