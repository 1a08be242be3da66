"""Trunks with a clock that only moves when told, and registrars that say what a test wants."""

from collections.abc import Mapping

from sbc.routing.accounts import Account, Logins
from sbc.routing.model import Keepalive, Listener, Network, Settings
from sbc.routing.registering import Registering
from sbc.sip.flow import Flow
from sbc.sip.message import Response, make_response
from sbc.sip.user import Abandon, SendRequest
from sbc.trunks.commands import Command, TrunkChanged
from sbc.trunks.registration import Line, Registration
from sbc.trunks.trunks import Trunks
from tests.kit.switchboard import CountingIds

OURS = "203.0.113.10"
FIRST = Flow("outside", "udp", (OURS, 5060), ("192.0.2.1", 5060))
SECOND = FIRST._replace(remote=("192.0.2.2", 5060))
STREAM = FIRST._replace(transport="tcp")
CHALLENGE = 'Digest realm="carrier.example", nonce="n1", algorithm=MD5, qop="auth"'
HALF = f"{2**63:016x}"
OFF = Keepalive("off", 25.0)
ACCOUNT = Account("us", "secret")


def settings(keepalive: Keepalive = OFF) -> Settings:
    """One network, on which UDP and TCP listen."""
    listeners = (
        Listener("udp", 4, OURS, 5060, OURS),
        Listener("tcp", 4, OURS, 5060, OURS),
    )
    outside = Network("outside", listeners, (), (30000, 39999), keepalive=keepalive)
    return Settings(networks=(outside,), peers=(), routes=())


def a_line(
    user: str = "4930123",
    *,
    flows: tuple[Flow, ...] = (FIRST, SECOND),
    contact: str | None = None,
    expires_s: int = 600,
) -> Line:
    """What is wanted with a carrier that has two targets."""
    domain = "carrier.example"
    registering = Registering(user, domain, domain, contact or user, expires_s)
    return Line(registering, flows)


class Office:
    """All trunks of a test; `sent` and `news` are those of the last step."""

    def __init__(
        self,
        lines: Mapping[str, Line] | None = None,
        *,
        keepalive: Keepalive = OFF,
        account: Account | None = ACCOUNT,
        chance: str | None = HALF,
    ) -> None:
        """Everything begins at once.

        Args:
            account: The same with every carrier.
            chance: What all entropy is, so that waits can be computed; None for what counts.
        """
        self.now = 1000.0
        self.settings = settings(keepalive)
        ids = CountingIds()
        self._branches = 0
        self._logins = Logins()
        self.account = account
        self.trunks = Trunks(
            self.settings,
            self._logins,
            fresh=ids.token if chance is None else lambda: chance,
            branch=self.branch,
        )
        self.sent: list[SendRequest] = []
        self.news: list[TrunkChanged] = []
        self.abandoned: list[str] = []
        self.configure({"carrier": a_line()} if lines is None else lines)

    def branch(self) -> str:
        self._branches += 1
        return f"z9hG4bK-{self._branches}"

    def configure(self, lines: Mapping[str, Line]) -> None:
        self._logins.configure((peer, self.account) for peer in lines)
        self.take(self.trunks.configure(self.settings, lines, self.now))

    @property
    def carrier(self) -> Registration:
        registration = self.trunks.registrations.of_peer("carrier")
        assert registration is not None
        return registration

    @property
    def state(self) -> str:
        return self.carrier.state.value

    @property
    def last(self) -> SendRequest:
        """The only request of the last step."""
        (sent,) = self.sent
        return sent

    def take(self, commands: list[Command]) -> list[Command]:
        self.sent = [one for one in commands if isinstance(one, SendRequest)]
        self.news = [one for one in commands if isinstance(one, TrunkChanged)]
        self.abandoned = [one.ref for one in commands if isinstance(one, Abandon)]
        return commands

    def wait(self, seconds: float) -> list[Command]:
        """Let time pass deadline by deadline; everything that was wanted meanwhile."""
        end = self.now + seconds
        commands: list[Command] = []
        while (due := self.trunks.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            commands += self.trunks.handle_timeout(self.now, iter(()))
        self.now = end
        return self.take(commands)

    def until_sent(self) -> SendRequest:
        """Let time pass until something is sent."""
        while True:
            due = self.trunks.next_timeout()
            assert due is not None, "nothing will ever be sent"
            self.wait(max(0.0, due - self.now))
            if self.sent:
                return self.last

    def reply(
        self, sent: SendRequest, status: int, *headers: str, reason: str | None = None
    ) -> list[Command]:
        response: Response = make_response(sent.request, status, reason, "theirs")
        for line in headers:
            name, _, value = line.partition(": ")
            response.headers.append(name, value)
        return self.take(self.trunks.reply(sent.ref, response, self.now))

    def fail(self, sent: SendRequest, why: str = "timeout") -> list[Command]:
        return self.take(self.trunks.failed(sent.ref, why, self.now))

    def register(self, *headers: str, expires: int = 600) -> SendRequest:
        """Let the registrar say yes to what comes next."""
        sent = self.until_sent()
        contact = (sent.request.headers.first("contact") or "").partition(";expires")[0]
        self.reply(sent, 200, f"Contact: {contact};expires={expires}", *headers)
        assert self.state == "registered"
        return sent
