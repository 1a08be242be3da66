"""The JSON Schemas of our files, for editors that complete and check while one writes."""

from typing import Any

from sbc.config.model import SbcFile
from sbc.document.schema import Section
from sbc.policy.schema import PolicyFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def configuration_schema() -> dict[str, Any]:
    """JSON Schema of sbc.yaml."""
    return _schema(SbcFile, "sbc.yaml")


def policy_schema() -> dict[str, Any]:
    """JSON Schema of a policy file."""
    return _schema(PolicyFile, "SBC policy")


def _schema(model: type[Section], title: str) -> dict[str, Any]:
    return {"$schema": DIALECT, **model.model_json_schema(), "title": title}
