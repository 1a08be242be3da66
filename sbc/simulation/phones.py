"""Phones that are registered because the simulation says so."""

from sbc.driver.in_force import InForce
from sbc.routing.facing import bracketed, host_port
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow, flow_to_data
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.uri import escape_user

LIFE_S = 10**7


def a_binding(force: InForce, user: str, host: str, flow: Flow) -> dict[str, object]:
    """A binding as `Registrar.export` gives it, of a phone on a flow."""
    endpoints = force.table.endpoints(flow.network, host)
    name = escape_user(user)
    return {
        "token": f"simulated-{name}-{flow.remote[0]}-{flow.remote[1]}",
        "aor": f"sip:{name}@{bracketed(host)}",
        "user": user,
        "host": host,
        "contact": f"sip:{name}@{host_port(*flow.remote)}",
        "flow": flow_to_data(flow),
        "endpoints": "" if endpoints is None else endpoints.name,
        "registrar": "",
        "expires_in_s": LIFE_S,
        "nat": [False, False, False],
        "user_agent": "",
        "reachable": True,
        "missed": 0,
        "q": 1.0,
        "call_id": "",
        "cseq": 0,
        "path": [],
        "service_route": [],
        "instance": "",
        "reg_id": 0,
        "pinhole_s": None,
        "credit": None,
    }


def caller_of(data: bytes) -> tuple[str, str]:
    """User and host of a message's From; empty where it has none, or cannot be read."""
    try:
        uri = parse_message_untrusted(data).from_.uri
    except ParseError:
        return "", ""
    return uri.user or "", uri.host
