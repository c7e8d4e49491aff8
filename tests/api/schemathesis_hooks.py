"""What schemathesis does not know by itself: how NDJSON is written."""

from typing import Any

import orjson
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    """One value a line; text is sent as it is."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return b"\n".join(orjson.dumps(one) for one in (value if isinstance(value, list) else [value]))
