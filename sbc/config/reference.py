"""The configuration reference, made from the schemas: ``python -m sbc.config.reference``."""

import sys
from typing import Any

from sbc.config.json_schema import configuration_schema, policy_schema
from sbc.policy.conditions_schema import Bounds

_AMOUNT = Bounds.__name__
"""What many conditions have in common, and is told in one line."""

_HEAD = """\
# Configuration

One file says what the SBC does: `sbc.yaml`. It names its networks, the peers on them, the routes
between those, and the policy files that say who may do what. `deploy/sbc.yaml` is the one that
`make run` uses, `deploy/examples/` holds others, `policies/` the policies.

- `sbc check FILE` says what is wrong, with file, line, column, key and what would be right.
- `sbc schema` prints a JSON Schema, with which editors complete and check while you write.
- `sbc plan` says what a change would do, `sbc apply --confirm 5m` tries it out, `sbc rollback N`
  goes back to an earlier version.
- `sbc reload` (or SIGHUP) reads the file again. A file with errors changes nothing. Addresses and
  ports that are bound, `media`, `firewall`, `state_dir`, `control_socket` and `limits` need a
  restart; a reload that would change them says so and changes nothing.
- Where a list is wanted, a single value will do: `bind: 192.0.2.1`.
- `${NAME}` in a value of sbc.yaml is replaced by that environment variable; one that is not set,
  or empty, is an error. In a policy file a name that its `variables` have stands for what they
  say. Aliases and tags of YAML are refused, and so is a key that stands twice.
- Durations are seconds.

This page is made from the schemas: `python -m sbc.config.reference > deploy/CONFIGURATION.md`.
"""


def reference() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    parts += _file("sbc.yaml", configuration_schema())
    parts += _file("Policy files", policy_schema())
    return "\n".join(parts)


def _file(title: str, schema: dict[str, Any]) -> list[str]:
    parts = [f"## {title}\n"]
    parts += _section(schema["properties"], schema.get("required", []))
    for key, field in schema["properties"].items():
        parts += _below(key, field, schema.get("$defs", {}))
    return parts


def _below(path: str, field: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """The sections under a key, each with its own heading."""
    reference_to = _reference(field)
    if reference_to is None or reference_to == _AMOUNT:
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
    parts += _section(definition["properties"], definition.get("required", []))
    for key, inner in definition["properties"].items():
        parts += _below(f"{shown}.{key}", inner, definitions)
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


def _section(properties: dict[str, Any], required: list[str]) -> list[str]:
    rows = ["| Key | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    for key, field in properties.items():
        default = "required" if key in required else _default(field)
        meaning = _cell(field.get("description", "")) + _examples(field)
        rows.append(f"| `{key}` | {_type(field)} | {default} | {meaning} |")
    return ["\n".join(rows) + "\n"]


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ({}, []) or (isinstance(value, dict)):
        return ""
    if isinstance(value, list):
        return "`[" + ", ".join(_plain(item) for item in value) + "]`"
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _examples(field: dict[str, Any]) -> str:
    examples = field.get("examples", [])
    if not examples or isinstance(examples[0], (dict, list)) or examples == [field.get("default")]:
        return ""
    return " Example: " + ", ".join(f"`{_plain(example)}`" for example in examples) + "."


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return _cell(" or ".join(f"`{word}`" for word in field["enum"]))
    if "anyOf" in field:
        kinds = dict.fromkeys(_type(one) for one in field["anyOf"] if one.get("type") != "null")
        first, *others = kinds
        return first + "".join(f" or a {other}" for other in others)
    if "$ref" in field:
        is_amount = field["$ref"].endswith(f"/{_AMOUNT}")
        return "`{above: NUMBER}`, `{below: NUMBER}`, or both in one" if is_amount else "mapping"
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


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(reference())
