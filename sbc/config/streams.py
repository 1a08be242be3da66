"""What a network asks of WebSockets, and which listeners may share a port."""

import re
from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from sbc.document.problem import Path, Severity
from sbc.document.schema import BadValue, OneOrMany, Section
from sbc.document.text import Document
from sbc.routing.model import Listener
from sbc.routing.websocket import ANY_ORIGIN, WebSocketRules
from sbc.sip.flow import Transport

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>\[[0-9a-f:.]+\]|[^/:@\[\]]+)(:\d+)?"
)
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_EXAMPLE = "for example: https://phones.example.com, or https://pbx.example.com:8443"

SHARING: tuple[frozenset[Transport], ...] = (
    frozenset({"tls", "wss"}),
    frozenset({"tcp", "ws"}),
)
"""Transports that one socket may carry: the first bytes tell which a connection is."""

_WEBSOCKETS: frozenset[Transport] = frozenset({"ws", "wss"})


def parse_origin(value: object) -> str:
    """An origin as browsers write it: scheme, host, and a port that is not the usual one."""
    text = value.strip().lower() if isinstance(value, str) else ""
    if text == ANY_ORIGIN:
        return text
    match = _ORIGIN.fullmatch(text)
    if match is None:
        if _ORIGIN.match(text):
            raise BadValue(f"{value!r} has more than scheme, host and port", _EXAMPLE)
        raise BadValue(f"{value!r} is no origin", _EXAMPLE)
    return text.removesuffix(_USUAL_PORTS.get(match["scheme"], "\0"))


_Origin = Annotated[
    str,
    PlainValidator(parse_origin),
    WithJsonSchema({"type": "string", "examples": ["https://phones.example.com", ANY_ORIGIN]}),
]


class WebSocketSection(Section):
    """What the network's WebSocket listeners ask of the pages whose browsers connect."""

    origins: Annotated[tuple[_Origin, ...], OneOrMany()] = Field(
        default=(),
        description="Pages whose scripts may connect, as scheme and host: a browser says which "
        'page it acts for. `"*"` lets any page in the world use its visitors\' browsers. Clients '
        "that are no browsers need not say an origin.",
        examples=["https://phones.example.com"],
    )


def build_websocket(
    document: Document, section: WebSocketSection, path: Path, transports: set[str]
) -> WebSocketRules | None:
    """A network's rules for WebSockets, if it has a listener for them.

    Args:
        path: of the network.
        transports: of its listeners.
    """
    here: Path = (*path, "websocket", "origins")
    listening = sorted(_WEBSOCKETS & transports)
    if not listening:
        if section.origins:
            document.report(
                here,
                "no listener of this network is for WebSockets",
                "add wss/443 to its listen, or remove them",
                severity=Severity.WARNING,
                key=True,
            )
        return None
    if not section.origins:
        document.report(
            here if here in document.values else (*path, "listen"),
            f"a {listening[0]} listener needs to know whose pages may connect",
            "for example: websocket: {origins: [https://phones.example.com]}",
        )
    elif ANY_ORIGIN in section.origins:
        document.report(
            here,
            "any page in the world may connect with its visitors' browsers",
            "write the origins of your own pages",
            severity=Severity.WARNING,
        )
    return WebSocketRules(section.origins)


def may_share(first: Listener, second: Listener) -> bool:
    """Whether two listeners of one network on one address and port are one socket."""
    return first.bind == second.bind and any(
        {first.transport, second.transport} == both for both in SHARING
    )
