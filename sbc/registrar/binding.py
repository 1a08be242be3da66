"""A binding: where a registered phone really is, and how we know.

Spec: RFC 3261 §10, RFC 5853 §3.4, RFC 3581.
"""

from dataclasses import dataclass
from typing import Self

from sbc.routing.facing import is_unroutable
from sbc.sip.flow import Flow
from sbc.sip.message import Request


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
    """``user@host`` as the phone wrote it."""
    contact: str
    """The phone's own Contact URI: the Request-URI of calls to it."""
    flow: Flow
    """Where the phone is reached."""
    endpoints: str
    """Configured peer (kind endpoints) that the phone belongs to; ``""`` for none."""
    registrar: str
    """Configured peer that accepted the registration."""
    expires_at: float
    nat: NatEvidence
    user_agent: str = ""
    reachable: bool = True
    """Whether keep-alives are answered and the connection, if any, stands."""
    missed: int = 0
    """Keep-alives in a row without an answer."""

    @property
    def user(self) -> str:
        """User part of the address-of-record."""
        return self.aor.partition("@")[0]

    @property
    def host(self) -> str:
        """The domain the phone believes in."""
        return self.aor.partition("@")[2]

    def to_data(self) -> dict[str, object]:
        """The binding as plain data that JSON can carry."""
        return {
            "token": self.token,
            "aor": self.aor,
            "contact": self.contact,
            "flow": [*self.flow[:2], list(self.flow.local), list(self.flow.remote), self.flow[4]],
            "endpoints": self.endpoints,
            "registrar": self.registrar,
            "expires_at": self.expires_at,
            "nat": [self.nat.contact_differs, self.nat.private_contact, self.nat.via_differs],
            "user_agent": self.user_agent,
            "reachable": self.reachable,
            "missed": self.missed,
        }

    @classmethod
    def from_data(cls, data: dict[str, object]) -> Self:
        """The binding that `to_data` exported.

        Raises:
            ValueError, KeyError, TypeError: the data is no such export.
        """
        values = dict(data)
        network, transport, local, remote, connection = _items(values.pop("flow"), 5)
        contact_differs, private_contact, via_differs = _items(values.pop("nat"), 3)
        return cls(
            token=str(values["token"]),
            aor=str(values["aor"]),
            contact=str(values["contact"]),
            flow=Flow(
                str(network),
                str(transport),
                _address(local),
                _address(remote),
                int(str(connection)),
            ),
            endpoints=str(values["endpoints"]),
            registrar=str(values["registrar"]),
            expires_at=float(str(values["expires_at"])),
            nat=NatEvidence(bool(contact_differs), bool(private_contact), bool(via_differs)),
            user_agent=str(values["user_agent"]),
            reachable=bool(values["reachable"]),
            missed=int(str(values["missed"])),
        )


def nat_evidence(request: Request, flow: Flow, host: str, port: int | None) -> NatEvidence:
    """What a REGISTER shows about NAT, from its Contact (`host`, `port`) and its top Via.

    Raises:
        ParseError: the top Via is malformed (400).
    """
    source, source_port = flow.remote
    via = request.via
    contact_port = port or 5060
    stream = flow.transport != "udp"
    return NatEvidence(
        contact_differs=host != source or (not stream and contact_port != source_port),
        private_contact=is_unroutable(host) and not is_unroutable(source),
        via_differs=via.host != source or (not stream and (via.port or 5060) != source_port),
    )


def _items(value: object, count: int) -> list[object]:
    if not isinstance(value, list) or len(value) != count:
        raise ValueError(f"expected a list of {count}")
    return value


def _address(value: object) -> tuple[str, int]:
    host, port = _items(value, 2)
    return str(host), int(str(port))
