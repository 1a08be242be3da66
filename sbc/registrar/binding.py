"""A binding: where a registered phone really is, and how we know.

Spec: RFC 3261 §10, RFC 5853 §3.4, RFC 3581.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

from sbc.registrar.credit import Credit
from sbc.routing.facing import is_private
from sbc.routing.registration import RegistrationMode
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import parse_name_addr_untrusted
from sbc.sip.flow import Flow, FlowData, flow_from_data, flow_to_data
from sbc.sip.message import Request
from sbc.sip.transaction.response_path import DEFAULT_PORT, is_same_host
from sbc.sip.uri import parse_uri_untrusted


@dataclass(frozen=True, slots=True)
class NatEvidence:
    """Why we believe that a phone is, or is not, behind a NAT."""

    contact_differs: bool
    """Contact names another host or port than the REGISTER came from."""
    private_contact: bool
    """Contact names an address that is not routable on the Internet (RFC 1918, 6598, 4193)."""
    via_differs: bool
    """The Via sent-by is not the source: what `rport` and `received` had to mend."""

    @property
    def behind_nat(self) -> bool:
        """The verdict: the phone does not know the address that it is seen by."""
        return self.contact_differs or self.via_differs

    def __str__(self) -> str:
        signs = [
            text
            for seen, text in (
                (self.contact_differs, "Contact is not the source"),
                (self.private_contact, "Contact is a private address"),
                (self.via_differs, "Via is not the source"),
            )
            if seen
        ]
        return "; ".join(signs) or "none"


@dataclass(slots=True)
class Binding:
    """One contact of one address-of-record, accepted by the registrar behind us."""

    token: str
    """User part of the Contact that the registrar has for it."""
    aor: str
    """Canonical ``sip:user@host`` of the To that the phone registered."""
    user: str
    """Its unescaped user part."""
    host: str
    """Its domain, the one the phone believes in; IPv6 without brackets."""
    contact: str
    """The phone's own Contact URI: the Request-URI of calls to it."""
    flow: Flow
    """Where the phone is reached."""
    endpoints: str
    """Configured peer (kind endpoints) that the phone belongs to; ``""`` for none."""
    registrar: str
    """Configured peer that accepted the registration; ``""`` where we did."""
    expires_at: float
    nat: NatEvidence
    user_agent: str = ""
    reachable: bool = True
    """Whether keep-alives are answered and the connection, if any, stands."""
    missed: int = 0
    """Keep-alives in a row without an answer."""
    q: float = 1.0
    """How much the phone wants to be called at this contact, 0 to 1."""
    call_id: str = ""
    """Of the REGISTER that made or refreshed it last."""
    cseq: int = 0
    """Of the same."""
    path: tuple[str, ...] = ()
    """What the phone is reached through, as Route of requests to it (RFC 3327)."""
    service_route: tuple[str, ...] = ()
    """Route of its requests to its registrar (RFC 3608)."""
    instance: str = ""
    """The phone's instance-id, without quotes and angle brackets (RFC 5626 §4.1)."""
    reg_id: int = 0
    """Which of the phone's flows this is (RFC 5626 §4.2); 0 where it keeps but one."""
    pinhole_s: float | None = None
    """How often its NAT needs a keep-alive, where that is more often than the network's rule."""
    credit: Credit | None = None
    """What the registrar granted, where a cache answers for it."""

    @property
    def key(self) -> str:
        """What makes it this one: its token, and the flow if the phone keeps several."""
        return f"{self.token}.{self.reg_id}" if self.reg_id else self.token

    @property
    def mode(self) -> RegistrationMode:
        """Who decided on it."""
        if not self.registrar:
            return "local"
        return "relay" if self.credit is None else "cache"

    @property
    def kept_until(self) -> float:
        """When the registrar forgets it: not before the phone is taken for gone."""
        return self.expires_at if self.credit is None else self.credit.until

    def to_data(self, now: float) -> dict[str, object]:
        """The binding as plain data that JSON can carry; its life as seconds left at `now`."""
        return {
            "token": self.token,
            "aor": self.aor,
            "user": self.user,
            "host": self.host,
            "contact": self.contact,
            "flow": flow_to_data(self.flow),
            "endpoints": self.endpoints,
            "registrar": self.registrar,
            "expires_in_s": self.expires_at - now,
            "nat": [self.nat.contact_differs, self.nat.private_contact, self.nat.via_differs],
            "user_agent": self.user_agent,
            "reachable": self.reachable,
            "missed": self.missed,
            "q": self.q,
            "call_id": self.call_id,
            "cseq": self.cseq,
            "path": list(self.path),
            "service_route": list(self.service_route),
            "instance": self.instance,
            "reg_id": self.reg_id,
            "pinhole_s": self.pinhole_s,
            "credit": None if self.credit is None else self.credit.to_data(now),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, object], now: float) -> Self:
        """The binding that `to_data` exported, whatever clock it had there.

        Raises:
            ValueError: the data is no such export.
        """
        try:
            contact_differs, private_contact, via_differs = _items(data["nat"], 3)
            credit, pinhole = data["credit"], data["pinhole_s"]
            binding = cls(
                token=str(data["token"]),
                aor=str(data["aor"]),
                user=str(data["user"]),
                host=str(data["host"]),
                contact=str(data["contact"]),
                flow=_flow(data["flow"]),
                endpoints=str(data["endpoints"]),
                registrar=str(data["registrar"]),
                expires_at=now + float(str(data["expires_in_s"])),
                nat=NatEvidence(bool(contact_differs), bool(private_contact), bool(via_differs)),
                user_agent=str(data["user_agent"]),
                reachable=bool(data["reachable"]),
                missed=int(str(data["missed"])),
                q=float(str(data["q"])),
                call_id=str(data["call_id"]),
                cseq=int(str(data["cseq"])),
                path=_texts(data["path"]),
                service_route=_texts(data["service_route"]),
                instance=str(data["instance"]),
                reg_id=int(str(data["reg_id"])),
                pinhole_s=None if pinhole is None else float(str(pinhole)),
                credit=None if credit is None else _credit(credit, now),
            )
            _check(binding)
        except KeyError as error:
            raise ValueError(f"a binding without {error.args[0]}") from error
        except (OverflowError, ParseError) as error:
            raise ValueError(f"a binding that makes no sense: {error}") from error
        return binding


def nat_evidence(request: Request, flow: Flow, host: str, port: int | None) -> NatEvidence:
    """What a REGISTER shows about NAT, from its Contact (`host`, `port`) and its top Via.

    Raises:
        ParseError: the top Via is malformed (400).
    """
    source = flow.remote
    via = request.via
    return NatEvidence(
        contact_differs=_differs(host, port, flow),
        private_contact=is_private(host) and not is_private(source[0]),
        via_differs=_differs(via.host, via.port, flow),
    )


def _differs(host: str, port: int | None, flow: Flow) -> bool:
    """Whether what was written is not the source; of a stream the source port means nothing."""
    source, source_port = flow.remote
    if not is_same_host(host, source):
        return True
    return not flow.reliable and (port or DEFAULT_PORT) != source_port


def _check(binding: Binding) -> None:
    """Refuse what no registration can have made, since a file may hold anything.

    Raises:
        ParseError: a text that goes into requests is none.
        ValueError: a time is none.
    """
    for uri in (binding.aor, binding.contact):
        parse_uri_untrusted(uri)
    for route in (*binding.path, *binding.service_route):
        parse_name_addr_untrusted(route)
    pinhole_s = math.inf if binding.pinhole_s is None else binding.pinhole_s
    if not (math.isfinite(binding.kept_until) and math.isfinite(binding.expires_at)):
        raise ValueError("a life that is no number of seconds")
    if not pinhole_s >= 1:
        raise ValueError("keep-alives more often than each second")


def _items(value: object, count: int) -> list[object]:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"expected a list of {count}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(one) for one in value)
    raise ValueError("expected a list of texts")


def _credit(value: object, now: float) -> Credit:
    try:
        return Credit.from_data(cast("Mapping[str, object]", value), now)
    except TypeError as error:
        raise ValueError(f"no credit: {error}") from error


def _flow(value: object) -> Flow:
    try:
        return flow_from_data(cast("FlowData", value))
    except TypeError as error:
        raise ValueError(f"no flow: {error}") from error
