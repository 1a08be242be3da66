"""Answers of the process, taken for what they should be; what is something else counts as empty."""


def mapping(value: object) -> dict[str, object]:
    """An object with names."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, object]]:
    """A list of such objects."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
