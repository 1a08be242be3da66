"""A dialog as plain data, and the requests made from it.

Spec: RFC 3261 §12; §13.2.2.4 and §13.3.1.4 (2xx and its ACK).
"""

from dataclasses import dataclass, replace
from typing import Final, Self, TypedDict

from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import (
    parse_name_addr_untrusted,
    split_name_addr_untrusted,
)
from sbc.sip.flow import Flow, FlowData, flow_from_data, flow_to_data
from sbc.sip.grammar import join_params, split_commas, split_params
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request, Response
from sbc.sip.uri import Uri, parse_uri_untrusted

MAX_FORWARDS: Final = 70
"""Spec: RFC 3261 §8.1.1.6."""

DialogId = tuple[str, str, str]
"""Call-ID, local tag, remote tag; a tag that an RFC 2543 peer left out is empty."""


class DialogData(TypedDict):
    """A `Dialog` as JSON has it."""

    call_id: str
    local_tag: str
    remote_tag: str
    local_uri: str
    remote_uri: str
    remote_target: str
    route_set: list[str]
    local_cseq: int
    remote_cseq: int | None
    flow: FlowData
    is_uac: bool


@dataclass(slots=True)
class Dialog:
    """What two user agents know of each other from the first answer to the BYE: RFC 3261 §12."""

    call_id: str
    local_tag: str
    remote_tag: str
    """Empty when an RFC 2543 peer sent none."""
    local_uri: str
    """Our From or To value as it was in the first request, without its tag."""
    remote_uri: str
    """The peer's, in the same form."""
    remote_target: str
    """Text of the URI that requests are for: the peer's Contact."""
    route_set: list[str]
    """Route values (``<sip:…;lr>``) in the order of our requests."""
    local_cseq: int
    """Number of our last request; the next one has the next number."""
    remote_cseq: int | None
    """Number of the peer's last request; None before its first."""
    flow: Flow
    """Where in-dialog requests leave, as responses did."""
    is_uac: bool
    """Whether we sent the request that made the dialog."""

    @classmethod
    def from_request(
        cls, request: Request, flow: Flow, local_tag: str, local_cseq: int = 0
    ) -> Self:
        """Make the dialog of a UAS, from the request that it is about to accept.

        Args:
            flow: Where the request came from.
            local_tag: The To tag of our responses.
            local_cseq: A number below that of our first request.

        Raises:
            ParseError: 400; no or a malformed Contact, a malformed Record-Route, From or To.

        Spec: RFC 3261 §12.1.1.
        """
        target = _contact_uri(request)
        if target is None:
            raise ParseError(f"{request.method} without Contact")
        return cls(
            call_id=request.call_id,
            local_tag=local_tag,
            remote_tag=request.from_tag or "",
            local_uri=_without_tag(request.headers.first("to") or ""),
            remote_uri=_without_tag(request.headers.first("from") or ""),
            remote_target=target,
            route_set=_record_routes(request),
            local_cseq=local_cseq,
            remote_cseq=request.cseq.number,
            flow=flow,
            is_uac=False,
        )

    @classmethod
    def from_response(cls, request: Request, response: Response, flow: Flow) -> Self:
        """Make the dialog of a UAC, from its request and a 101-299 response to it.

        A response without Contact, which gateways send as 180, leaves the Request-URI as the
        target until a later one brings a Contact.

        Raises:
            ParseError: A malformed Contact, Record-Route or To in the response.

        Spec: RFC 3261 §12.1.2.
        """
        return cls(
            call_id=request.call_id,
            local_tag=request.from_tag or "",
            remote_tag=response.to_tag or "",
            local_uri=_without_tag(request.headers.first("from") or ""),
            remote_uri=_without_tag(request.headers.first("to") or ""),
            remote_target=_contact_uri(response) or request.uri_text,
            route_set=_record_routes(response)[::-1],
            local_cseq=request.cseq.number,
            remote_cseq=None,
            flow=flow,
            is_uac=True,
        )

    @classmethod
    def from_data(cls, data: DialogData) -> Self:
        """Restore what `to_data` exported."""
        return cls(
            call_id=data["call_id"],
            local_tag=data["local_tag"],
            remote_tag=data["remote_tag"],
            local_uri=data["local_uri"],
            remote_uri=data["remote_uri"],
            remote_target=data["remote_target"],
            route_set=list(data["route_set"]),
            local_cseq=data["local_cseq"],
            remote_cseq=data["remote_cseq"],
            flow=flow_from_data(data["flow"]),
            is_uac=data["is_uac"],
        )

    def to_data(self) -> DialogData:
        """Export as what JSON can hold; `from_data` gives an equal dialog."""
        return {
            "call_id": self.call_id,
            "local_tag": self.local_tag,
            "remote_tag": self.remote_tag,
            "local_uri": self.local_uri,
            "remote_uri": self.remote_uri,
            "remote_target": self.remote_target,
            "route_set": list(self.route_set),
            "local_cseq": self.local_cseq,
            "remote_cseq": self.remote_cseq,
            "flow": flow_to_data(self.flow),
            "is_uac": self.is_uac,
        }

    @property
    def dialog_id(self) -> DialogId:
        """What in-dialog messages are matched by: Call-ID, local tag, remote tag."""
        return self.call_id, self.local_tag, self.remote_tag

    def build_request(
        self, method: str, branch: str, via_sent_by: str, max_forwards: int = MAX_FORWARDS
    ) -> Request:
        """Make the next request of our side; Contact and body are the caller's.

        Takes the next CSeq number. ACK and CANCEL have none of their own, see `build_ack`; a
        CANCEL is made from the request that it cancels.

        Args:
            branch: With the magic cookie, unique.
            via_sent_by: ``host:port`` as the peer shall see it, IPv6 in brackets.

        Spec: RFC 3261 §12.2.1.1.
        """
        self.local_cseq += 1
        return self._request(method, self.local_cseq, branch, via_sent_by, max_forwards)

    def build_ack(
        self, cseq_number: int, branch: str, via_sent_by: str, max_forwards: int = MAX_FORWARDS
    ) -> Request:
        """Make the ACK of a 2xx to our INVITE number `cseq_number`.

        It is a transaction of its own, so `branch` is a new one. Repeat the same ACK, byte for
        byte, for each retransmission of the 2xx.

        Spec: RFC 3261 §13.2.2.4.
        """
        return self._request("ACK", cseq_number, branch, via_sent_by, max_forwards)

    def accepts_cseq(self, number: int) -> bool:
        """Take note of the number of the peer's new request; False when it is out of order.

        A number that is not above the last one is answered with 500, and changes nothing;
        retransmissions never come here. Not for ACK and CANCEL, whose number is another's.

        Spec: RFC 3261 §12.2.2.
        """
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: Message) -> None:
        """Take over the Contact, if there is one, of an accepted target refresh.

        That is the peer's re-INVITE or UPDATE, or the 2xx to ours.

        Raises:
            ParseError: A malformed Contact; the target stays.

        Spec: RFC 3261 §12.2.1.2, §12.2.2; RFC 3311 §5.
        """
        target = _contact_uri(message)
        if target is not None:
            self.remote_target = target

    def confirm(self, response: Response) -> None:
        """Take route set and target from the 2xx that confirms this early dialog of our INVITE.

        Nothing else changes; requests sent meanwhile have counted `local_cseq`.

        Raises:
            ParseError: A malformed Contact or Record-Route; nothing changed.

        Spec: RFC 3261 §13.2.2.4.
        """
        route_set = _record_routes(response)[::-1]
        self.refresh_target(response)
        self.route_set = route_set

    def _request(
        self, method: str, number: int, branch: str, via_sent_by: str, max_forwards: int
    ) -> Request:
        uri_text, routes = self._way()
        transport = self.flow.transport.upper()
        # Over UDP always with rport: a peer that knows it answers to where it heard us from.
        rport = "" if self.flow.reliable else ";rport"
        headers = Headers()
        headers.append("Via", f"SIP/2.0/{transport} {via_sent_by};branch={branch}{rport}")
        headers.append("Max-Forwards", str(max_forwards))
        headers.append("From", _tagged(self.local_uri, self.local_tag))
        headers.append("To", _tagged(self.remote_uri, self.remote_tag))
        headers.append("Call-ID", self.call_id)
        headers.append("CSeq", f"{number} {method}")
        if routes:
            headers.append("Route", ", ".join(routes))
        return Request(method, uri_text, headers)

    def _way(self) -> tuple[str, list[str]]:
        """Give Request-URI and Route values, by loose or, for an old first hop, strict routing."""
        if not self.route_set:
            return self.remote_target, []
        first = parse_name_addr_untrusted(self.route_set[0]).uri
        if first.has_param("lr"):
            return self.remote_target, self.route_set
        return _request_uri(first), [*self.route_set[1:], f"<{self.remote_target}>"]


def _request_uri(uri: Uri) -> str:
    """`uri` without what a Request-URI must not have (RFC 3261 §19.1.1, table 1)."""
    params = tuple([param for param in uri.params if param[0] != "method"])
    return str(replace(uri, params=params, headers=""))


def _record_routes(message: Message) -> list[str]:
    routes: list[str] = []
    for value in message.headers.all("record-route"):
        for element in split_commas(value):
            parse_name_addr_untrusted(element)
            routes.append(element)
    return routes


def _contact_uri(message: Message) -> str | None:
    """The text of the first Contact's URI, read to the end so that it can be used later."""
    value = message.headers.first("contact")
    if value is None:
        return None
    elements = split_commas(value)
    if not elements:
        raise ParseError("empty Contact")
    text = split_name_addr_untrusted(elements[0])[1]
    parse_uri_untrusted(text)
    return text


def _without_tag(value: str) -> str:
    """A From or To value without its tag, the rest as the peer wrote it."""
    display, uri_text, params_text = split_name_addr_untrusted(value)
    params = split_params(params_text)
    others = tuple([param for param in params if param[0] != "tag"])
    if len(others) == len(params):
        return value
    space = " " if display else ""
    return f"{display}{space}<{uri_text}>{join_params(others)}"


def _tagged(value: str, tag: str) -> str:
    return f"{value};tag={tag}" if tag else value
