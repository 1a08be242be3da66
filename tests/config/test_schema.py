"""The exported schemas and the reference say what the models say."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from sbc.config.balancing import FailoverSection, HealthSection
from sbc.config.json_schema import configuration_schema, policy_schema
from sbc.config.model import LimitsSection, MediaSection, PeerLimitsSection, SbcFile, TimersSection
from sbc.config.policy_reference import KINDS, VERBS, policy_reference
from sbc.config.reference import reference
from sbc.policy.facts import FACTS
from sbc.policy.load import load_policy
from sbc.policy.model import SOURCES, STAGES
from sbc.policy.schema import PolicyFile, parse_action
from sbc.routing.failover import SILENT
from sbc.routing.hops import UNASKED
from sbc.routing.model import ALL_SUITES, Limits, MediaRules, Timers
from sbc.sip.parser import Limits as MessageLimits
from sbc.transport.limits import TransportLimits

ROOT = Path(__file__).parents[2]
POLICY_EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", policy_reference(), re.MULTILINE | re.DOTALL)


def sections(model: type[BaseModel], found: dict[str, type[BaseModel]]) -> None:
    """All models below one, by name."""
    if model.__name__ in found:
        return
    found[model.__name__] = model
    for field in model.model_fields.values():
        todo: list[Any] = [field.annotation]
        while todo:
            annotation = todo.pop()
            todo += get_args(annotation)
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                sections(annotation, found)


@pytest.mark.parametrize(
    ("schema", "model"),
    [(configuration_schema(), SbcFile), (policy_schema(), PolicyFile)],
    ids=["configuration", "policy"],
)
def test_the_schema_has_every_key_of_the_model_and_no_other(
    schema: dict[str, Any], model: type[BaseModel]
) -> None:
    found: dict[str, type[BaseModel]] = {}
    sections(model, found)
    definitions = {**schema["$defs"], model.__name__: schema}
    assert set(definitions) == {name for name in found if name != "Verb"}
    for name, definition in definitions.items():
        fields = found[name].model_fields
        assert set(definition["properties"]) == {
            field.alias or key for key, field in fields.items()
        }
        assert definition["additionalProperties"] is False
        assert definition.get("required", []) == [
            field.alias or key for key, field in fields.items() if field.is_required()
        ]
        assert all("description" in one for one in definition["properties"].values()), name


def accepts(schema: dict[str, Any], definitions: dict[str, Any], value: object) -> bool:
    """Whether a JSON Schema, of the kind we export, accepts a value."""
    if "$ref" in schema:
        return accepts(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, value)
    if "anyOf" in schema:
        return any(accepts(one, definitions, value) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kind = schema.get("type")
    if isinstance(value, dict):
        inner = [
            schema.get("properties", {}).get(key)
            or schema.get("additionalProperties")
            or next(iter(schema.get("patternProperties", {}).values()), None)
            for key in value
        ]
        return (
            kind == "object"
            and all(key in value for key in schema.get("required", ()))
            and all(
                one and accepts(one, definitions, v)
                for one, v in zip(inner, value.values(), strict=True)
            )
        )
    if isinstance(value, list):
        return kind == "array" and all(accepts(schema["items"], definitions, v) for v in value)
    wanted = {"integer": (int,), "number": (int, float), "boolean": (bool,), "string": (str,)}
    return value is None if kind == "null" else isinstance(value, wanted.get(str(kind), ()))


@pytest.mark.parametrize(
    "path",
    [ROOT / "deploy/sbc.yaml", *(ROOT / "deploy/examples").glob("*.yaml")],
    ids=lambda path: path.name,
)
def test_editors_accept_the_shipped_configurations(path: Path) -> None:
    schema = configuration_schema()
    # YAML 1.2, as editors read it: `off` is a word.
    data = yaml.safe_load(path.read_text().replace("srtp: off", 'srtp: "off"'))
    assert accepts(schema, schema["$defs"], data)
    data["networks"]["outside"]["lissten"] = "udp/5060"
    assert not accepts(schema, schema["$defs"], data)


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda p: p.name)
def test_editors_accept_the_shipped_policies(path: Path) -> None:
    schema = policy_schema()
    assert accepts(schema, schema["$defs"], yaml.safe_load(path.read_text()))


def test_defaults_of_the_file_are_those_of_the_cores() -> None:
    media, limits, timers = MediaSection(), PeerLimitsSection(), TimersSection()
    rules = MediaRules(media.srtp, media.suites, media.max_kbps, media.rtcp_mux)
    assert rules == MediaRules()
    assert media.suites == ALL_SUITES
    assert Limits(limits.max_calls, limits.calls_per_second, limits.burst) == Limits()
    assert Timers() == Timers(
        ring_s=timers.ring,
        no_answer_s=timers.no_answer,
        max_duration_s=timers.max_duration,
        inactivity_s=timers.media_inactivity,
    )
    assert FailoverSection().rule() == SILENT
    assert HealthSection().rule() == UNASKED
    strangers = LimitsSection()
    assert MessageLimits() == MessageLimits(
        message_bytes=strangers.message_bytes,
        head_bytes=strangers.header_bytes,
        header_count=strangers.headers,
    )
    transports = TransportLimits()
    assert (
        strangers.tcp_connections,
        strangers.tcp_connections_per_source,
        strangers.tcp_idle,
        strangers.tcp_first_message,
        strangers.tcp_message,
        strangers.tcp_unproven,
        strangers.tcp_unproven_per_source,
        strangers.tcp_pings,
        strangers.tls_handshake,
        strangers.tls_handshakes,
        strangers.websocket_request_bytes,
        strangers.websocket_fragments,
        strangers.websocket_ping,
    ) == (
        transports.inbound_connections,
        transports.connections_per_source,
        transports.idle_s,
        transports.first_message_s,
        transports.message_s,
        transports.unproven_s,
        transports.unproven_per_source,
        transports.pings_per_second,
        transports.handshake_s,
        transports.handshakes,
        transports.upgrade_bytes,
        transports.fragments,
        transports.websocket_ping_s,
    )


@pytest.mark.parametrize(
    ("path", "page"),
    [("deploy/CONFIGURATION.md", reference()), ("policies/REFERENCE.md", policy_reference())],
    ids=["configuration", "policies"],
)
def test_a_reference_page_is_up_to_date(path: str, page: str) -> None:
    assert (ROOT / path).read_text() == page


@pytest.mark.parametrize(
    ("model", "page"), [(SbcFile, reference()), (PolicyFile, policy_reference())]
)
def test_a_reference_names_every_key_of_every_section(model: type[BaseModel], page: str) -> None:
    found: dict[str, type[BaseModel]] = {}
    sections(model, found)
    for section in found.values():
        for key, field in section.model_fields.items():
            said = field.alias or key
            assert f"| `{said}` |" in page or f"{said}: " in page, said


def test_the_reference_tells_of_every_stage_verb_and_kind_of_fact() -> None:
    assert {f"`{stage.name}`" for stage in (SOURCES, *STAGES)} <= {
        row.split(" | ")[1] for row in policy_reference().splitlines() if row.count(" | ") == 4
    }
    assert set(VERBS) == {verb for stage in (SOURCES, *STAGES) for verb in stage.verbs}
    assert set(KINDS) == {fact.kind for fact in FACTS.values()}


def test_the_verbs_of_the_reference_are_written_as_they_are_read() -> None:
    for verb, (written, _) in VERBS.items():
        assert parse_action(written, (verb,)).verb == verb


@pytest.mark.parametrize("example", POLICY_EXAMPLES, ids=range(len(POLICY_EXAMPLES)))
def test_the_policies_in_the_reference_are_policies(example: str) -> None:
    assert load_policy(example, "REFERENCE.md").rules
