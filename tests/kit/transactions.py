"""Requests and flows for tests of the transaction layer and of dialogs."""

from sbc.sip.flow import Flow
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted

UDP = Flow("outside", "udp", ("192.0.2.1", 5060), ("198.51.100.7", 40000))
"""A phone behind a NAT: its sent-by is private, its source is not."""
TCP = Flow("outside", "tcp", ("192.0.2.1", 5060), ("198.51.100.7", 40001), 7)


def a_request(
    method: str = "INVITE",
    *,
    branch: str | None = "z9hG4bK-1",
    sent_by: str = "10.0.0.7:5060",
    via_params: str = ";rport",
    transport: str = "UDP",
    cseq: int = 1,
    to_tag: str | None = None,
    uri: str = "sip:600@example.com",
    headers: tuple[str, ...] = (),
    body: bytes = b"",
) -> Request:
    """A request as the parser gives it: from bytes, with its `raw`."""
    via = f"SIP/2.0/{transport} {sent_by}{via_params}"
    if branch is not None:
        via += f";branch={branch}"
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via}",
        "Max-Forwards: 70",
        "From: Alice <sip:alice@example.com>;tag=a1",
        "To: <sip:600@example.com>" + (f";tag={to_tag}" if to_tag else ""),
        "Call-ID: call-1",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@10.0.0.7:5060>",
        *headers,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    message = parse_message_untrusted("\r\n".join(lines).encode() + body)
    assert isinstance(message, Request)
    return message


def a_response(request: Request, status: int, *, to_tag: str = "b1") -> Response:
    """A response as it comes back over the wire, read by the parser."""
    message = parse_message_untrusted(serialize(make_response(request, status, to_tag=to_tag)))
    assert isinstance(message, Response)
    return message
