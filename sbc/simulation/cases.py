"""Unit tests of policies: what a file of them says."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from sbc.document.problem import Severity
from sbc.document.schema import BadValue, OneOrMany, Section, validate
from sbc.document.text import Document, read_document
from sbc.prefixes import is_numeric
from sbc.simulation.moments import moment
from sbc.sip.flow import Address

Texts = Annotated[tuple[str, ...], OneOrMany()]


def source_address(text: str) -> Address:
    """``192.0.2.1``, ``192.0.2.1:5060`` or ``[2001:db8::1]:5060``; port 5060 unless given.

    Raises:
        BadValue: it is none.
    """
    host, port = text, "5060"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not is_numeric(host) or not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
        raise BadValue(f"{text!r} is no address", "for example: 198.51.100.7:40000")
    return host, int(port)


def _source(text: str) -> str:
    source_address(text)
    return text


def _moment(text: str) -> str:
    moment(text)
    return text


class Place(Section):
    """Where an address is."""

    country: str = Field(default="", description="ISO 3166 letters.", examples=["DE"])
    asn: str = Field(default="", description="Its autonomous system.", examples=["64500"])


class Expected(Section):
    """What is to become of the (last) message. What is not said may be anything."""

    outcome: (
        Literal["allow", "reject", "drop", "challenge", "limit", "malformed", "none"] | None
    ) = Field(default=None, description="Its treatment.", examples=["reject"])
    status: int | None = Field(default=None, description="Of our answer.", examples=[403])
    stage: str | None = Field(default=None, description="Where it was decided.", examples=["geo"])
    rule: str | None = Field(default=None, description="Which rule decided.", examples=["pings"])
    effects: Texts | None = Field(
        default=None, description="What is done to it, all of it.", examples=["cap 10"]
    )
    says: Texts = Field(
        default=(), description="Pieces of its explanation.", examples=["method INVITE"]
    )
    omits: Texts = Field(
        default=(), description="Pieces that are not in it.", examples=["codecs of Teams"]
    )
    nearest: str | None = Field(
        default=None,
        description="A piece of what would have changed it; empty where nothing would.",
        examples=["if registered were true"],
    )


class Case(Section):
    """A message, where it comes from, and what is to become of it."""

    name: str = Field(min_length=1, description="A sentence.", examples=["scanners hear nothing"])
    source: Annotated[str, AfterValidator(_source)] = Field(
        default="198.51.100.7:40000", alias="from", description="Address it comes from.",
        examples=["198.51.100.7"],
    )  # fmt: skip
    network: str | None = Field(
        default=None,
        description="Network it comes on; by default that of the peer with this address, or the "
        "first untrusted one.",
        examples=["outside"],
    )
    transport: Literal["udp", "tcp", "tls", "ws", "wss"] = Field(
        default="udp", description="Transport it comes by.", examples=["tls"]
    )
    certificate: Texts = Field(
        default=(), description="Domains that its certificate proves.", examples=["pbx.example.com"]
    )
    tls_version: float = Field(default=1.3, description="Of TLS, if it comes by that.")
    registered: bool = Field(
        default=False, description="Whether its sender is a registered phone.", examples=["true"]
    )
    user: str = Field(default="", description="Who logs in, if asked.", examples=["alice"])
    time: Annotated[str, AfterValidator(_moment)] | None = Field(
        default=None, description="When.", examples=["2026-03-02 22:30"]
    )
    place: Place | None = Field(default=None, description="Where the source is.")
    counters: dict[str, float] = Field(
        default={}, description="Present values of counters.", examples=[{"calls_today": 40}]
    )
    message: str | None = Field(
        default=None, description="The whole message, as it is on the wire."
    )
    method: str = Field(default="INVITE", description="Its method.", examples=["REGISTER"])
    caller: str = Field(
        default="alice", description="User of From, or a whole URI.", examples=["+49301234"]
    )
    display: str = Field(default="", description="Display name of From.", examples=["+49 30 1234"])
    called: str = Field(
        default="600", description="User of the Request-URI, or a whole URI.", examples=["+49301"]
    )
    user_agent: str | None = Field(default=None, description="User-Agent.", examples=["sipvicious"])
    headers: dict[str, str] = Field(
        default={}, description="Further headers.", examples=[{"Diversion": "<sip:1@example.com>"}]
    )
    offer: Annotated[tuple[Literal["rtp", "sdes", "dtls"], ...], OneOrMany()] = Field(
        default=("rtp",),
        description="How each stream of audio is protected that a call offers; `[]` for no offer.",
        examples=["sdes"],
    )
    body: str = Field(default="", description="Its body, in place of an offer.")
    repeat: int = Field(
        default=1, ge=1, le=100_000, description="How often it is sent.", examples=[61]
    )
    ports: int = Field(
        default=1, ge=1, le=1000, description="From how many ports in turn, the first given."
    )
    hosts: int = Field(
        default=1, ge=1, le=100_000, description="From how many addresses in turn, likewise."
    )
    every: float = Field(
        default=0.01, ge=0, le=86_400, description="Seconds between two of them.", examples=[0.1]
    )
    attack: bool = Field(default=False, description="Whether only an attacker would send it.")
    expect: Expected


class CasesFile(Section):
    """Unit tests of policies."""

    version: int = Field(default=1, ge=1, le=1, description="Version of this format.")
    config: str | None = Field(
        default=None, description="The sbc.yaml to ask; else policies in a small border."
    )
    policies: Texts = Field(default=(), description="Policy files, relative to this one.")
    networks: dict[str, Any] | None = Field(default=None, description="As sbc.yaml has them.")
    peers: dict[str, Any] | None = Field(default=None, description="As sbc.yaml has them.")
    routes: tuple[Any, ...] | None = Field(default=None, description="As sbc.yaml has them.")
    environment: dict[str, str] = Field(
        default={}, description="What ${NAME} stands for in that sbc.yaml."
    )
    cases: tuple[Case, ...] = Field(min_length=1, description="The tests.")


SECTIONS: Final = ("networks", "peers", "routes")


def read_cases(text: str, file: str) -> tuple[CasesFile | None, Document]:
    """A file of tests; None when it is broken, with the problems in the document."""
    document = read_document(text, file)
    model = validate(document, CasesFile)
    if model is None:
        return None, document
    if model.config is not None and (model.policies or any(getattr(model, s) for s in SECTIONS)):
        document.report(("config",), "config has policies and networks of its own", "remove one")
    elif model.config is None and not model.policies:
        document.report((), "nothing says which policies are tested", "policies: [edge.yaml]")
    names: dict[str, int] = {}
    for number, case in enumerate(model.cases):
        place = document.place(("cases", number))
        first = names.setdefault(case.name, place.line)
        if first != place.line:
            document.report(
                ("cases", number, "name"),
                f"the name {case.name!r} is taken by line {first}",
                severity=Severity.ERROR,
            )
    return (None if document.broken else model), document
