"""Before anything of a message is read: what of it is counted, and who is turned away unheard."""

from collections.abc import Callable
from typing import Final

from sbc.driver import callers
from sbc.driver.in_force import InForce
from sbc.driver.tally import Tally
from sbc.policy.admission import Admission, Verdict, Welcome
from sbc.sip.flow import Address, Flow, Transport

_SHOW_CERTIFICATES: Final = frozenset({"tls", "wss"})

Contain = Callable[..., bool]
"""Does some work behind the boundary; false when an error of ours ended it."""


class Doorkeeper:
    """Asks the rate limits; what the transports ask does not raise."""

    __slots__ = ("_admission", "_contain", "_tally", "may_prove")

    def __init__(self, admission: Admission, tally: Tally, contain: Contain) -> None:
        self._admission = admission
        self._tally = tally
        self._contain = contain
        self.may_prove: Callable[[str, str, float], bool] = _nobody
        """Whether a host of a network, which is banned, may yet show by a certificate who it is."""

    def judge(self, force: InForce, flow: Flow, proven: tuple[str, ...], now: float) -> Verdict:
        """Whether a message of a connection may pass, whose client's certificate proves names."""
        self._tally.received += 1
        counted = callers.counted_as(force, flow, proven)
        verdict = self._admission.admit(flow, counted, now, proven)
        self._tally.dropped_rate += not verdict.admitted
        return verdict

    def admits_datagram(self, network: str, remote: Address, now: float) -> Welcome:
        """How a datagram is received, of which nothing was looked at."""
        self._tally.received += 1
        welcome: Welcome = "away"

        def ask() -> None:
            nonlocal welcome
            welcome = self._admission.admits_datagram(network, remote, now)

        self._contain(ask, source=remote)
        self._tally.dropped_rate += welcome == "away"
        return welcome

    def admits_connection(
        self, network: str, remote: Address, transport: Transport, now: float
    ) -> bool:
        """Whether a connection may be accepted."""
        admitted = False

        def ask() -> None:
            nonlocal admitted
            admitted = self._admission.admits_connection(network, remote, transport, now)
            if not admitted and transport in _SHOW_CERTIFICATES:
                forbidden = self._admission.forbids_connection(network, remote, transport, now)
                admitted = not forbidden and self.may_prove(network, remote[0], now)

        self._contain(ask, source=remote)
        return admitted


def _nobody(network: str, host: str, now: float) -> bool:
    del network, host, now
    return False
