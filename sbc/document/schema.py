"""A document against a pydantic schema: a model, or problems at their places.

The wording is ours: an operator who wrote YAML should read about YAML.
"""

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from sbc.document.problem import Path, did_you_mean
from sbc.document.text import Document


class Section(BaseModel):
    """One mapping of a file. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    not_here: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Keys that similar sections have, with why this one has not and what would be right."""


class BadValue(ValueError):
    """A value that its parser refuses, and what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


S = TypeVar("S", bound=Section)


def validate(document: Document, model: type[S]) -> S | None:
    """The document as a model; None when it is broken, with the problems in the document."""
    if document.broken:
        return None
    if not isinstance(document.data, dict):
        document.report(
            (),
            f"expected a mapping, found {_found(document.data)}",
            f"top keys: {', '.join(_keys(model))}",
        )
        return None
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        for details in found:
            if not _follows(details, found):
                _report(document, model, details)
        return None


def _follows(details: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether a list is called too short only because an entry of it is wrong."""
    path = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(path) and other["loc"][: len(path)] == path for other in found
    )


def as_list(value: object) -> object:
    """A single scalar where a list is wanted: a list of one."""
    return [value] if isinstance(value, str) else value


class OneOrMany:
    """Annotation of a tuple field: a file may give a single scalar instead of a list of one."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(as_list, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [many["items"], many]}


class TextFor:
    """Annotation of a section: a file may give a text, which then is the value of one key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._as_mapping, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        section = handler(schema)
        text = handler.resolve_ref_schema(section)["properties"][self._key]
        return {"anyOf": [{k: v for k, v in text.items() if k != "description"}, section]}

    def _as_mapping(self, value: object) -> object:
        return {self._key: value} if isinstance(value, str) else value


def _report(document: Document, model: type[Section], details: ErrorDetails) -> None:
    path: Path = details["loc"]
    kind = details["type"]
    if kind == "extra_forbidden":
        section = _section_at(model, path[:-1])
        key = str(path[-1])
        if section is not None and issubclass(section, Section) and key in section.not_here:
            why, hint = section.not_here[key]
            document.report(path, f"{key!r} {why}", hint, key=True)
            return
        known = _keys(section) if section is not None else ()
        document.report(
            path,
            f"unknown key {key!r}",
            did_you_mean(key, known, "known keys"),
            key=True,
        )
        return
    if kind == "missing":
        document.report(
            path, f"the key {str(path[-1])!r} is missing", _example(model, path), key=True
        )
        return
    if path and path[-1] == "[key]":
        path = path[:-1]
        document.report(path, *_message(model, path, details), key=True)
        return
    document.report(_written(document, path), *_message(model, path, details))


def _written(document: Document, path: Path) -> Path:
    """The path without the ends that a shorter way of writing leaves out.

    That is a single value where a list may stand, or a text where a mapping may.
    """
    while path and path not in document.values:
        path = path[:-1]
    return path


def _message(model: type[Section], path: Path, details: ErrorDetails) -> tuple[str, str]:
    """What is wrong with a value and what would be right."""
    kind, found = details["type"], _found(details["input"])
    context: dict[str, Any] = details.get("ctx", {})
    if kind == "literal_error":
        words = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{found} is not understood", did_you_mean(str(details["input"]), words, "one of")
    if kind == "value_error" and isinstance(context.get("error"), BadValue):
        error = context["error"]
        return str(error), error.hint or _example(model, path)
    if kind in _BOUNDS:
        bound = context[_BOUNDS[kind][1]]
        return f"{found} is {_BOUNDS[kind][0]} {bound:.10g}", _example(model, path)
    for beginning, wanted in _WANTED.items():
        if kind.startswith(beginning):
            return f"expected {wanted}, found {found}", _example(model, path)
    text = details["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:], _example(model, path)


_BOUNDS = {
    "greater_than_equal": ("less than", "ge"),
    "less_than_equal": ("more than", "le"),
    "greater_than": ("not more than", "gt"),
    "less_than": ("not less than", "lt"),
}

_WANTED = {
    "string_too_short": "some text",
    "string_too_long": "a shorter text",
    "int_": "a whole number",
    "float_": "a number",
    "finite_number": "a number",
    "bool_": "true or false",
    "string_": "a text",
    "model_": "a mapping",
    "dict_": "a mapping",
    "tuple_": "a list",
    "list_": "a list",
    "too_short": "at least one entry",
}


def _found(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else repr(value[:57]) + "..."
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if value else "an empty list"


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _example(model: type[Section], path: Path) -> str:
    """The examples of the field at a path, or of the one around it."""
    while path:
        if isinstance(path[-1], str):
            section = _section_at(model, path[:-1])
            field = _field(section, path[-1]) if section is not None else None
            if field is not None and field.examples:
                return f"for example: {_flow(field.examples[0])}"
            if field is not None:
                return ""
        path = path[:-1]
    return ""


def _flow(value: object) -> str:
    """An example as it stands in YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return str(value)


def _field(section: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in section.model_fields.items():
        if key == (field.alias or name):
            return field
    return None


def _section_at(model: type[BaseModel], path: Iterable[str | int]) -> type[BaseModel] | None:
    """The schema of the mapping at a path; None where there is none."""
    here: object = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = _field(here, str(part))
            here = field.annotation if field is not None else None
        else:
            here = get_args(here)[-1 if get_origin(here) is dict else 0] if get_args(here) else None
        here = _plain(here)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _plain(annotation: object) -> object:
    """An annotation without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _plain(members[0]) if len(members) == 1 else annotation
    return annotation
