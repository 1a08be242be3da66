"""The guard of registrations: who registers is looked at, what looks like a takeover is told."""

from collections.abc import Callable

from sbc.driver.edges import Log
from sbc.driver.in_force import InForce
from sbc.policy.refusal import Refusal
from sbc.policy.takeover import Device, Finding, TakeoverGuard
from sbc.policy.world import FAILURES, UNKNOWN
from sbc.registrar.binding import Binding
from sbc.registrar.claims import instance_of
from sbc.registrar.commands import GONE, BindingChanged
from sbc.sip.flow import Flow
from sbc.sip.message import Request

_ADVICE_HELD = (
    "if the user has a new device, `sbc registrations --accept AOR`; if not, somebody may know the "
    "password: change it"
)
_ADVICE_UNPROVEN = (
    "if the user has a new device, `sbc registrations --accept AOR`; if not, nothing: no password "
    "was shown"
)
_ADVICE_TOLD = "ask the user; if the device is not the user's, change the password"


class Takeovers:
    """Asked before a REGISTER is served, told of every change of a binding."""

    __slots__ = ("_force", "_guard", "_log", "_wall")

    def __init__(self, force: InForce, log: Log, wall: Callable[[], float]) -> None:
        self._force = force
        self._guard = TakeoverGuard()
        self._log = log
        self._wall = wall

    def configure(self, force: InForce) -> None:
        """Judge by another configuration from now on."""
        self._force = force

    def objection(self, request: Request, flow: Flow) -> Refusal | None:
        """Why a REGISTER is held back, if it is.

        Raises:
            ParseError: To or Contact is malformed (400).
        """
        rules = self._force.policy.takeover
        contacts = request.contacts
        if rules.on_takeover != "hold" or not (contacts or request.contact_is_star):
            return None
        now = self._wall()
        aor = request.to.uri.address_of_record
        instance = instance_of(contacts[0]) if contacts else ""
        agent = request.headers.first("user-agent") or ""
        device = self._device(flow, agent, instance)
        finding = self._guard.judge(aor, device, rules, now)
        if finding is None or not finding.holds:
            return None
        # Anybody may come without a password, so that must not hide who comes with one.
        proves = request.headers.has("authorization")
        if self._guard.is_news(aor, now, proves=proves):
            advice = _ADVICE_HELD if proves else _ADVICE_UNPROVEN
            self._alarm("registration held", aor, flow, finding, advice)
        return Refusal(403, "this user is registered with another device", finding.why)

    def told(self, change: BindingChanged) -> None:
        """A binding began, changed or ended."""
        binding, now = change.binding, self._wall()
        if change.what in GONE:
            self._guard.gone(binding.aor, binding.key, now)
        elif change.what in ("registered", "refreshed", "moved", "restored"):
            self._registered(change.what, binding, now)

    def accept(self, aor: str) -> bool:
        """An operator says that a new device of a user is the user's; false for no such user."""
        return self._guard.accept(aor, self._wall())

    def _registered(self, what: str, binding: Binding, now: float) -> None:
        device = self._device(binding.flow, binding.user_agent, binding.instance)
        if what in ("registered", "moved"):
            finding = self._guard.judge(binding.aor, device, self._force.policy.takeover, now)
            if finding is not None:
                self._alarm("registration changed", binding.aor, binding.flow, finding,
                            _ADVICE_TOLD)  # fmt: skip
        # Its end is told; until then it is live.
        live = device._replace(until=float("inf"))
        self._guard.registered(binding.aor, binding.key, live, now)

    def _device(self, flow: Flow, agent: str, instance: str) -> Device:
        host = flow.remote[0]
        country = self._force.world.places.country(host)
        country = UNKNOWN if country in FAILURES else country
        return Device(host, flow.network, agent, instance, country)

    def _alarm(self, event: str, aor: str, flow: Flow, finding: Finding, advice: str) -> None:
        where = self._force.policy.takeover.where
        self._log("warning", event, aor=aor, source=flow.remote, network=flow.network,
                  why=finding.why, where=where, advice=advice)  # fmt: skip
