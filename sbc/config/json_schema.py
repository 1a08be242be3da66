"""The JSON Schemas of our files, for editors that complete and check while one writes."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from sbc.config.model import SbcFile
from sbc.config.values import Listen, PortRange
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
    schema = model.model_json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, **schema, "title": title}


class _Generator(GenerateJsonSchema):
    """Shows default values as they are written in YAML."""

    def encode_default(self, dft: Any) -> Any:
        """A default as JSON."""
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        if isinstance(dft, (Listen, PortRange)):
            return str(dft)
        return super().encode_default(dft)
