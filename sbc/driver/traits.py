"""By what scanners are known besides their names: how they write.

Few traits, and each of them one that no phone, PBX or proxy has: they break what RFC 3261 demands
of every client, or ask a stranger's server for an address that is not there.
"""

from sbc.sip.errors import ParseError
from sbc.sip.message import Request


def name_of(request: Request, scanners: tuple[str, ...]) -> str:
    """The piece of User-Agent by which a scanner is known; empty when there is none."""
    agent = request.headers.first("user-agent")
    if not agent:
        return ""
    agent = agent.lower()
    return next((name for name in scanners if name in agent), "")


def trait_of(request: Request) -> str:
    """What is odd about a request that begins something; empty when nothing is.

    Spec: RFC 3261 §8.1.1 (mandatory headers), §8.1.1.8 (Contact of an INVITE).
    """
    headers = request.headers
    if headers.first("max-forwards") is None:
        return "it has no Max-Forwards"
    if request.method == "INVITE" and headers.first("contact") is None:
        return "its INVITE has no Contact"
    if request.method == "REGISTER":
        return ""
    try:
        caller, called, asked = request.from_.uri, request.to.uri, request.uri
    except ParseError:
        return ""
    if caller == called and caller.host not in (asked.host, ""):
        return f"it asks {asked.host} whether {caller} is itself"
    return ""
