"""Writes the frozen file of every event version that has none yet; an existing one is never touched."""

import json
from pathlib import Path
from typing import Any

from contracts.catalog import EVENTS
from contracts.events.base import EventData

FROZEN = Path(__file__).parents[2] / "contracts" / "events" / "frozen"


def frozen_form(event: type[EventData]) -> dict[str, Any]:
    """What is frozen of an event version: its topic, JSON Schema (2020-12) and example."""
    return {
        "type": event.TYPE,
        "topic": event.TOPIC.name,
        "schema": event.model_json_schema(mode="validation"),
        "example": event.EXAMPLE,
    }


def freeze(directory: Path = FROZEN) -> list[str]:
    """The types whose files were written."""
    directory.mkdir(exist_ok=True)
    written = []
    for event in EVENTS.values():
        path = directory / f"{event.TYPE}.json"
        if not path.exists():
            path.write_text(json.dumps(frozen_form(event), indent=2) + "\n")
            written.append(event.TYPE)
    return written


if __name__ == "__main__":
    print("\n".join(freeze()))  # noqa: T201 - a command
