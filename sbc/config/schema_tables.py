"""Tables of keys in Markdown, made of a JSON Schema."""

from typing import Any, Final

from sbc.policy.conditions_schema import MessageConditions, RequestConditions, SourceConditions

CONDITIONS: Final = frozenset(
    section.__name__ for section in (SourceConditions, RequestConditions, MessageConditions)
)
"""Sections that are told in one place for all that have them."""


def chapter(title: str, schema: dict[str, Any]) -> list[str]:
    """A file: its own keys, then the sections under them."""
    parts = [f"## {title}\n"]
    parts += keys_table(schema["properties"], schema.get("required", []))
    for key, field in schema["properties"].items():
        parts += sections_below(key, field, schema.get("$defs", {}))
    return parts


def sections_below(path: str, field: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """The sections under a key, each with its own heading."""
    reference_to = _reference(field)
    if reference_to is None or reference_to in CONDITIONS:
        return []
    definition = definitions[reference_to]
    shown = path
    if "additionalProperties" in field or "patternProperties" in field:
        shown = f"{path}.NAME"
    elif field.get("type") == "array" or any(
        one.get("type") == "array" for one in field.get("anyOf", ())
    ):
        shown = f"{path}[]"
    parts = [f"### `{shown}`\n", definition["description"].replace("\n", " ") + "\n"]
    parts += keys_table(definition["properties"], definition.get("required", []))
    for key, inner in definition["properties"].items():
        parts += sections_below(f"{shown}.{key}", inner, definitions)
    return parts


def _reference(field: dict[str, Any]) -> str | None:
    """The definition that a field's value, entries or members have."""
    patterns = field.get("patternProperties", {})
    inner = field.get("additionalProperties") or next(iter(patterns.values()), None)
    members = inner.get("anyOf", ()) if isinstance(inner, dict) else ()
    for candidate in (field, *field.get("anyOf", ()), field.get("items"), inner, *members):
        if isinstance(candidate, dict) and "$ref" in candidate:
            return str(candidate["$ref"]).rsplit("/", 1)[-1]
    either = [one for one in field.get("anyOf", ()) if "anyOf" in one]
    return _reference(either[0]) if either else None


def keys_table(properties: dict[str, Any], required: list[str]) -> list[str]:
    """One section's keys."""
    rows = ["| Key | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    for key, field in properties.items():
        default = "required" if key in required else _default(field)
        meaning = cell(field.get("description", "")) + _examples(field)
        rows.append(f"| `{key}` | {_type(field)} | {default} | {meaning} |")
    return ["\n".join(rows) + "\n"]


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ({}, []) or (isinstance(value, dict)):
        return ""
    if isinstance(value, list):
        return "`[" + ", ".join(plain(item) for item in value) + "]`"
    return f"`{plain(value)}`"


def plain(value: object) -> str:
    """A value as YAML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _examples(field: dict[str, Any]) -> str:
    examples = field.get("examples", [])
    if not examples or isinstance(examples[0], (dict, list)) or examples == [field.get("default")]:
        return ""
    return " Example: " + ", ".join(f"`{plain(example)}`" for example in examples) + "."


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return cell(" or ".join(f"`{word}`" for word in field["enum"]))
    if "anyOf" in field:
        kinds = dict.fromkeys(_type(one) for one in field["anyOf"] if one.get("type") != "null")
        first, *others = kinds
        return first + "".join(f" or a {other}" for other in others)
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return "[conditions](#conditions)" if name in CONDITIONS else "mapping"
    if field.get("type") == "array":
        return "list"
    return _NUMBERS.get(str(field.get("type")), "text") + _bounds(field)


_NUMBERS = {
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "mapping",
}


def _bounds(field: dict[str, Any]) -> str:
    low = field.get("minimum", field.get("exclusiveMinimum"))
    high = field.get("maximum")
    if low is None:
        return ""
    if low == high:
        return f", {low:g}"
    above = "above" if "exclusiveMinimum" in field else "from"
    return f", {above} {low:g}" + (f" to {high:.10g}" if high is not None else "")


def cell(text: str) -> str:
    """A text in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
