"""An example of any JSON Schema, put together from the examples of its parts."""

from typing import Any, Final

Json = dict[str, Any]

_BY_FORMAT: Final = {
    "date-time": "2026-11-23T07:30:00.123456Z",
    "date": "2026-11-23",
    "uri": "https://example.com",
    "uuid": "019ab0c2-f3e4-7d5a-8b1c-2d3e4f506172",
}
_BY_TYPE: Final[Json] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}


def example_of(schema: Json, schemas: Json) -> Any:
    """The example that the schema names, else one made of its parts; `schemas` are the document's components."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "allOf" in schema:
        return {name: value for one in schema["allOf"] for name, value in example_of(one, schemas).items()}
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return example_of(schema[key][0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: Json, schemas: Json) -> Any:
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: example_of(one, schemas) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema.get("items", {}), schemas)]
    if kind == "string":
        return _BY_FORMAT.get(schema.get("format", ""), "text")
    return max(schema.get("minimum", 1), 1) if kind == "integer" else _BY_TYPE[kind]
