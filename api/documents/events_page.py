"""The AsyncAPI document as HTML: topics, events, their data and an example of each."""

import json
import re
from html import escape
from typing import Any, Final

Json = dict[str, Any]

_CODE: Final = re.compile(r"`([^`]+)`")


def body(document: Json) -> str:
    """The main part of the page for this document."""
    info = document["info"]
    channels = document["channels"]
    events = [(channel, name) for channel in channels.values() for name in channel["messages"]]
    contents = "".join(_entry(document["components"]["messages"][name]["name"]) for _, name in events)
    envelope = document["components"]["schemas"]["envelope"]
    return (
        f'<main class="events"><h1>Events of {escape(info["title"])} {escape(info["version"])}</h1>'
        f"<p>{escape(info['description'])}</p>"
        f'<nav class="contents"><ul>{contents}</ul></nav>'
        f"<h2>Envelope</h2><p>{_text(envelope['description'])}</p>{_properties(envelope, document)}"
        + "".join(_channel(channel, document) for channel in channels.values())
        + "</main>"
    )


def _entry(name: str) -> str:
    return f'<li><a href="#{escape(name)}">{escape(name)}</a></li>'


def _channel(channel: Json, document: Json) -> str:
    settings = channel["bindings"]["kafka"]["topicConfiguration"]
    kept = settings["retention.ms"]
    how_long = "for ever" if kept < 0 else f"{kept // 86_400_000} days"
    messages = (document["components"]["messages"][name] for name in channel["messages"])
    return (
        f"<h2>Topic <code>{escape(channel['address'])}</code></h2><p>{escape(channel['title'])}."
        f' <span class="soft">Kept {how_long}; a record has at most {settings["max.message.bytes"]:,} bytes.</span></p>'
        + "".join(_message(message, document) for message in messages)
    )


def _message(message: Json, document: Json) -> str:
    data = message["payload"]["allOf"][1]["properties"]["data"]
    example = json.dumps(message["examples"][0]["payload"], indent=2, ensure_ascii=False)
    name = escape(message["name"])
    return (
        f'<h3 id="{name}">{name}</h3><p>{escape(message["summary"])} <span class="soft">'
        f"{_text(message['description'])}</span></p>{_properties(_target(data, document), document)}"
        f"<details><summary>Example</summary><pre><code>{escape(example)}</code></pre></details>"
    )


def _properties(schema: Json, document: Json) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(one, document))}</td>"
        f"<td>{'yes' if name in required else ''}</td><td>{_text(_words(one))}</td></tr>"
        for name, one in schema.get("properties", {}).items()
    )
    head = "<tr><th>Name</th><th>Type</th><th>Required</th><th>Meaning and bounds</th></tr>"
    return f'<div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _target(schema: Json, document: Json) -> Json:
    """The schema that a reference leads to, or the schema itself."""
    if "$ref" not in schema:
        return schema
    found: Json = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return found


def _kind(schema: Json, document: Json) -> str:
    schema = _target(schema, document)
    if "anyOf" in schema:
        return " or ".join(_kind(one, document) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_kind(schema.get('items', {}), document)}"
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("maxItems", "at most {} items"),
    ("default", "default {}"),
)


def _words(schema: Json) -> str:
    """Description and bounds; of a value that may be null, those of the other kind."""
    parts = {**schema, **(schema.get("anyOf") or [{}])[0]}
    bounds = [words.format(json.dumps(parts[key])) for key, words in _BOUNDS if parts.get(key) is not None]
    return "; ".join(filter(None, [schema.get("description", ""), *bounds]))


def _text(words: str) -> str:
    """The words as HTML; what stands in backquotes is code."""
    return _CODE.sub(r"<code>\1</code>", escape(words))
