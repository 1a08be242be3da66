"""One question to the name service: the hosts table, or name servers over UDP and TCP.

No thread, and nothing waits outside trio. dnspython draws a random id and port for each question,
takes no answer from elsewhere, follows aliases and asks again over TCP what was truncated.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.NAPTR
import dns.rdtypes.IN.SRV
import dns.resolver
import trio

from sbc.resolver.hosts import Hosts, parse_hosts
from sbc.resolver.records import Naptr, Question, Record, Srv
from sbc.resolver.server import Server
from sbc.routing.facing import host_port

MOST_RECORDS: Final = 256
"""Of one answer; a message has room for thousands."""
NEGATIVE_TTL_S: Final = 30.0
"""How long it counts that there is no such record, whatever the zone says: people mend zones."""
HOSTS_TTL_S: Final = 30.0
_MOST_HOSTS_BYTES: Final = 1_048_576
_GRACE_S: Final = 1.0
_PORT: Final = 53
_SILENCE: Final = (dns.exception.Timeout, trio.TooSlowError)
_BACKEND: Final = dns.asyncbackend.get_backend("trio")
_NO_SUCH_TYPE: Final = (dns.rcode.NOTIMP,)
"""A server that does not know a type has no record of it."""


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """Which servers are asked, and how patiently."""

    servers: tuple[tuple[str, int], ...] = ()
    """Numeric hosts and ports; none for those of resolv.conf."""
    timeout_s: float = 1.5
    """For one try at one server."""
    attempts: int = 2
    """Tries at each server."""


class Found(NamedTuple):
    """What a server said."""

    records: tuple[Record, ...]
    """Empty when it says that there are none."""
    ttl_s: float


class Unanswered(Exception):
    """Nobody gave an answer; the text says who was asked and what came instead."""


class Dns:
    """Asks; remembers nothing but what the two files of the machine say."""

    def __init__(
        self,
        settings: DnsSettings,
        *,
        resolv_conf: Path = Path("/etc/resolv.conf"),
        hosts: Path = Path("/etc/hosts"),
    ) -> None:
        self._settings = settings
        self._resolv_conf = resolv_conf
        self._hosts_file = hosts
        self._hosts: Hosts = {}
        self._hosts_stamp = 0
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._resolver_stamp = 0

    def configure(self, settings: DnsSettings) -> None:
        """Ask other servers from now on."""
        self._settings = settings
        self._resolver = None

    async def ask(self, question: Question) -> Found:
        """Ask the hosts table, then the name servers.

        Raises:
            Unanswered: nobody answered in time, or with nothing that can be used.
        """
        kept = self._kept(question)
        if kept is not None:
            await trio.lowlevel.checkpoint()
            return kept
        resolver = self._current_resolver()
        with trio.move_on_after(resolver.lifetime + _GRACE_S):
            try:
                return await _ask(resolver, question)
            except dns.exception.DNSException as error:
                return _without_answer(resolver, error)
        raise Unanswered(_silence(resolver))

    def servers(self) -> list[str]:
        """The name servers that are asked now, as numeric hosts."""
        try:
            return [server.answer_nameserver() for server in _do53(self._current_resolver())]
        except Unanswered:
            return []

    def _kept(self, question: Question) -> Found | None:
        """What the hosts table says; a name in it has no SRV and no NAPTR records."""
        stamp = _stamp(self._hosts_file)
        if stamp != self._hosts_stamp:
            self._hosts_stamp = stamp
            self._hosts = parse_hosts(_text(self._hosts_file))
        addresses = self._hosts.get(_owner(question.name))
        if addresses is None:
            return None
        family = {"A": 4, "AAAA": 6}.get(question.kind)
        fitting = tuple(one for one in addresses if (6 if ":" in one else 4) == family)
        return Found(fitting, HOSTS_TTL_S)

    def _current_resolver(self) -> dns.asyncresolver.Resolver:
        """The resolver of the settings, else of resolv.conf as it is now.

        Raises:
            Unanswered: there is no server to ask.
        """
        stamp = 0 if self._settings.servers else _stamp(self._resolv_conf)
        if self._resolver is None or stamp != self._resolver_stamp:
            self._resolver = self._made_resolver()
            self._resolver_stamp = stamp
        return self._resolver

    def _made_resolver(self) -> dns.asyncresolver.Resolver:
        settings = self._settings
        resolver = dns.asyncresolver.Resolver(configure=False)
        servers = [Server(*server) for server in settings.servers]
        if not servers:
            try:
                resolver.read_resolv_conf(str(self._resolv_conf))
            except (dns.exception.DNSException, OSError, ValueError) as error:
                raise Unanswered(
                    f"{self._resolv_conf} names no name server that can be used ({error})"
                ) from None
            servers = [Server(str(server), _PORT) for server in resolver.nameservers]
        resolver.nameservers = servers
        resolver.timeout = settings.timeout_s
        resolver.lifetime = settings.timeout_s * settings.attempts * len(resolver.nameservers)
        return resolver


def _do53(resolver: dns.asyncresolver.Resolver) -> list[Server]:
    return [one for one in resolver.nameservers if isinstance(one, Server)]


async def _ask(resolver: dns.asyncresolver.Resolver, question: Question) -> Found:
    # Names with a dot are whole names; a single label is searched for as resolv.conf says.
    whole = "." in _owner(question.name)
    name = dns.name.from_text(question.name, dns.name.root if whole else None)
    answer = await resolver.resolve(
        name,
        question.kind,
        raise_on_no_answer=False,
        search=not whole,
        backend=_BACKEND,
    )
    if answer.rrset is None:
        return Found((), NEGATIVE_TTL_S)
    records = tuple(_record(one) for one in islice(answer.rrset, MOST_RECORDS))
    return Found(records, float(answer.chaining_result.minimum_ttl))


def _without_answer(
    resolver: dns.asyncresolver.Resolver, error: dns.exception.DNSException
) -> Found:
    """What it means that a question ended in an error.

    Raises:
        Unanswered: nothing is known now.
    """
    if isinstance(error, dns.resolver.NXDOMAIN):
        return Found((), NEGATIVE_TTL_S)
    if not isinstance(error, dns.resolver.NoNameservers | dns.resolver.LifetimeTimeout):
        raise Unanswered(str(error) or type(error).__name__) from error
    failures = error.kwargs.get("errors", [])
    responses = [response for *_, response in failures if response is not None]
    if responses and all(response.rcode() in _NO_SUCH_TYPE for response in responses):
        return Found((), NEGATIVE_TTL_S)
    if all(isinstance(failure[3], _SILENCE) for failure in failures):
        raise Unanswered(_silence(resolver)) from error
    told = (_failed(failure[3], _server_text(failure[0])) for failure in failures)
    raise Unanswered("; ".join(dict.fromkeys(told)))


def _failed(error: object, server: str) -> str:
    if isinstance(error, _SILENCE):
        return f"no answer from {server}"
    if isinstance(error, OSError):
        return f"{error.strerror or error} on the way to {server}"
    return f"{error or type(error).__name__} from {server}"


def _server_text(text: str) -> str:
    """A server, which dnspython writes as ``Do53:192.0.2.53@53``."""
    host, _, port = text.removeprefix("Do53:").rpartition("@")
    return host if port == str(_PORT) else host_port(host, int(port))


def _silence(resolver: dns.asyncresolver.Resolver) -> str:
    servers = ", ".join(_server_text(str(server)) for server in resolver.nameservers)
    return f"no answer from {servers} in {resolver.lifetime:g} s"


def _record(data: dns.rdata.Rdata) -> Record:
    if isinstance(data, dns.rdtypes.IN.SRV.SRV):
        return Srv(data.priority, data.weight, data.port, _name(data.target))
    if isinstance(data, dns.rdtypes.IN.NAPTR.NAPTR):
        return Naptr(
            data.order,
            data.preference,
            _latin(data.flags),
            _latin(data.service),
            _latin(data.regexp),
            _name(data.replacement),
        )
    assert isinstance(data, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA)
    return str(data.address)


def _name(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _latin(text: bytes) -> str:
    return text.decode("latin-1")


def _owner(name: str) -> str:
    """The domain that a name of SRV records is about, else the name itself."""
    labels = name.split(".")
    while len(labels) > 1 and labels[0].startswith("_"):
        del labels[0]
    return ".".join(labels)


def _stamp(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_HOSTS_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
