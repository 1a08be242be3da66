"""The watch: what strangers do, and what they are answered, told to the guard of the policy.

Whoever takes a request in tells what it is; whoever answers one tells what was answered. So a
wrong password is seen whether it was ours or a registrar's to judge, and a number that does not
exist whether the PBX or a route said so. What is done about it is the guard's to decide, and is
carried out by `enforce`.
"""

from collections.abc import Callable, Iterable
from typing import Final

from sbc.driver import traits
from sbc.driver.attempts import Attempt, Attempts, attempt_of
from sbc.driver.edges import Log, Wire
from sbc.driver.in_force import InForce
from sbc.driver.nonces import Nonces, challenges_in
from sbc.driver.sparing import never_banned
from sbc.policy.bans import OPERATOR, network_flow
from sbc.policy.guard import Attacked, Banned, Guard, Lifted, Measure
from sbc.policy.offences import Known, Observation, Offence, Standing, proof_of
from sbc.policy.protected import Protected
from sbc.policy.refusal import Refusal
from sbc.prefixes import IpNetwork, source_key
from sbc.registrar.registrar import Registrar
from sbc.routing.accounts import Realm
from sbc.sip.errors import TOO_LARGE, ParseError
from sbc.sip.flow import Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.sip.transaction.events import TransactionKey
from sbc.sip.transaction.layer import server_key
from sbc.transport.endings import End

_ENDS: Final = {
    End.SLOW: Offence.SLOW_STREAM,
    End.UNPROVEN: Offence.SLOW_STREAM,
    End.RATE: Offence.STREAM_RATE,
    End.PINGS: Offence.STREAM_RATE,
    End.MALFORMED: Offence.NOT_SIP,
    End.HANDSHAKE: Offence.FAILED_HANDSHAKE,
}
"""What a connection was ended for that its other end is to blame for."""

_NO_NUMBER: Final = frozenset({404, 410, 484, 604})
"""What a call to a number is answered that does not exist."""

MOST_PEERS_HOSTS: Final = 4096
"""Addresses that are remembered because a peer proved itself from there by its certificate."""

MOST_WHAT: Final = 200
"""Characters of what is said of one thing that was seen."""

_SHOWN: Final = 3
"""Of the evidence, how much a line of the log shows."""


class Watch:
    """Tells the guard what it needs to know, and everybody what the guard decided."""

    def __init__(
        self,
        force: InForce,
        *,
        registrar: Registrar,
        wire: Wire,
        log: Log,
        wall: Callable[[], float],
        exempts: Callable[[str, str, float], bool],
    ) -> None:
        """Watch from now on.

        Args:
            wall: seconds since 1970.
            exempts: whether the policy lets a host of a network be, whatever it does.
        """
        self._exempts = exempts
        self._registrar = registrar
        self._wire = wire
        self._log = log
        self._attempts = Attempts()
        self._nonces = Nonces()
        self._protected = Protected()
        self._judged_by: tuple[object, ...] = ()
        self._realms: dict[str, Realm] = {}
        self._hosts: tuple[tuple[str, str], ...] = ()
        self._peers_hosts: dict[str, None] = {}
        self.now = 0.0
        """The time of what is being handled."""
        self.enforce: Callable[[Measure], None] = _nobody
        """Carries out what the guard decided, besides what it does itself."""
        self.guard = Guard(None, known=self._known, protects=self._protects, wall=wall)
        self.configure(force)

    def configure(self, force: InForce) -> None:
        """Judge by another configuration from now on; who may no longer be banned is let in."""
        self._force = force
        self._realms = {
            peer.realm.name: peer.realm
            for peer in force.settings.peers
            if peer.realm is not None
        }  # fmt: skip
        trusted = [network.name for network in force.settings.networks if network.trusted]
        judged_by = (force.policy.bans, trusted, tuple(never_banned(force, self._hosts)))
        if judged_by != self._judged_by:
            # Only then, since every ban is looked at: addresses of peers are learned all the time.
            self._judged_by = judged_by
            self._protected = Protected(judged_by[2])
            self._carry_out(self.guard.configure(force.policy.bans, trusted))

    def protect(self, hosts: Iterable[tuple[str, str]]) -> None:
        """Never ban these hosts of the machine's, each for its reason."""
        self._hosts = tuple(hosts)
        self.configure(self._force)

    @property
    def protected(self) -> Protected:
        """Who is never banned, whatever is registered from there."""
        return self._protected

    # -- what comes -------------------------------------------------------------------------

    def may_prove(self, network: str, host: str, now: float) -> bool:
        """Whether a banned host may connect to show that it is a peer, if only now and then."""
        return network in self._force.table.proving and self.guard.bans.may_prove(host, now)

    def proved(self, flow: Flow, names: tuple[str, ...]) -> None:
        """Something came by a connection whose client's certificate proves names.

        Where a peer is that only its certificate tells from its neighbours is remembered: were that
        address banned, it could hardly connect to prove who it is. If it was, it is let in.
        """
        peer = self._force.table.sender(flow, names)
        if peer is None:
            return
        host = source_key(flow.remote[0])
        self._peers_hosts.pop(host, None)
        self._peers_hosts[host] = None
        if len(self._peers_hosts) > MOST_PEERS_HOSTS:
            del self._peers_hosts[next(iter(self._peers_hosts))]
        ban = self.guard.bans.find(flow.remote[0])
        if ban is not None and ban.by != OPERATOR:
            why = f"peer {peer.name!r} proved by its certificate that it is there"
            self._carry_out(self.guard.lift(ban.source, why))

    def arrived(self, request: Request, flow: Flow) -> None:
        """A request came, of which nothing was decided yet."""
        if not self._is_open(flow.network) or request.method == "ACK":
            return
        if request.headers.first("to") is None or request.to_tag is not None:
            return
        if self._is_peer(flow):
            return
        attempt = attempt_of(request, flow, self._nonces)
        if not self._registrar.has_flow(flow) and self._scans(request, attempt):
            return
        self._attempts.put(server_key(request, flow, request.method), attempt)

    def _scans(self, request: Request, attempt: Attempt) -> bool:
        """Whether a request says itself that it is a scanner's; how it is written counts too."""
        rules = self.guard.rules
        name = traits.name_of(request, rules.scanners) if rules is not None else ""
        if name:
            self._observe(Offence.SCANNER_NAME, attempt, f"its User-Agent says {name!r}")
            return True
        trait = traits.trait_of(request)
        if trait:
            self._observe(Offence.SCANNER_TRAITS, attempt, trait)
        return False

    def malformed(self, error: ParseError, flow: Flow) -> None:
        """Something came that cannot be read."""
        if not self._is_open(flow.network):
            return
        request = error.answerable
        offence = Offence.NOT_SIP if request is None else Offence.MALFORMED
        if error.status == TOO_LARGE:
            offence = Offence.OVERSIZE
        call_id = "" if request is None else (request.headers.first("call-id") or "")[:128]
        self._tell(
            Observation(offence, flow, proof_of(flow.reliable, False), error.reason, call_id)
        )

    def over_its_rate(self, flow: Flow) -> None:
        """A message was dropped by a rate limit; one by a datagram may be anybody's."""
        if flow.reliable and self._is_open(flow.network):
            what = "its messages are above every limit"
            self._tell(Observation(Offence.FLOOD, flow, proof_of(True, False), what))

    def stream_ended(self, flow: Flow, why: str) -> None:
        """A connection is gone, for a reason that begins with one of `End`."""
        offence = next((of for end, of in _ENDS.items() if why.startswith(end.value)), None)
        if offence is not None and not flow.peer and self._is_open(flow.network):
            self._tell(Observation(offence, flow, proof_of(True, False), why))

    # -- what is answered -------------------------------------------------------------------

    def refused(self, request: Request, flow: Flow, refusal: Refusal) -> None:
        """A request is refused by us, aloud or in silence."""
        if not self._is_open(flow.network):
            return
        attempt = self._attempts.take(server_key(request, flow, request.method))
        if attempt is None:
            attempt = attempt_of(request, flow, self._nonces)
        headers = Headers()
        for name, value in refusal.headers:
            headers.append(name, value)
        self._judge(attempt, refusal.status, headers, refusal)

    def dropped(self, request: Request, flow: Flow, why: str) -> None:
        """A request is dropped by a rule; one of a known scanner counted already."""
        attempt = self._attempts.take(server_key(request, flow, request.method))
        if attempt is not None:
            self._observe(Offence.POLICY, attempt, why)

    def answered(self, key: TransactionKey, response: Response) -> None:
        """A final response leaves, whoever made it."""
        attempt = self._attempts.take(key)
        if attempt is not None:
            self._judge(attempt, response.status, response.headers, None)

    def _judge(self, attempt: Attempt, status: int, headers: Headers, own: Refusal | None) -> None:
        if status < 300:
            self._succeeded(attempt)
        elif status in (401, 407):
            self._challenged(attempt, headers, own)
        elif attempt.method == "REGISTER" and status in (403, 404):
            self._registrar_refused(attempt, status, own)
        elif status == 403:
            login = attempt.realm and own is not None and not own.rule
            offence = Offence.OTHERS_NAME if login else Offence.POLICY
            self._observe(offence, attempt, _why(own, f"403 to {attempt.called!r}"))
        elif attempt.method == "INVITE" and status in _NO_NUMBER:
            offence = Offence.UNKNOWN_NUMBER if own is None else Offence.NO_ROUTE
            what = f"{attempt.called!r} is no number here ({status})"
            self._observe(offence, attempt, _why(own, what), attempt.called)
        elif status == 481 and attempt.method != "CANCEL":
            self._observe(Offence.NO_DIALOG, attempt, f"{attempt.method} in no dialog of ours")

    def _succeeded(self, attempt: Attempt) -> None:
        user = attempt.called if attempt.method == "REGISTER" else attempt.caller
        key = network_flow(attempt.flow)
        for name in {user, attempt.caller}:
            self.guard.succeeded(key, name)

    def _challenged(self, attempt: Attempt, headers: Headers, own: Refusal | None) -> None:
        nonces, stale = challenges_in(headers)
        self._nonces.sent(nonces, attempt.flow.remote[0])
        if attempt.realm and not stale:
            realm = self._realms.get(attempt.realm)
            missing = realm is not None and attempt.caller not in realm.users
            offence = Offence.UNKNOWN_USER if missing else Offence.WRONG_PASSWORD
            what = f"user {attempt.caller!r} did not log in to {attempt.realm!r}"
            self._observe(offence, attempt, _why(own, what), attempt.caller)
        elif not attempt.realm:
            user = attempt.called if attempt.method == "REGISTER" else attempt.caller
            what = f"it asks for many users and logs in as none, the last of them {user!r}"
            seen = self._seen(Offence.MANY_USERS, attempt, what, user)
            self._carry_out(self.guard.challenged(seen, self.now))

    def _registrar_refused(self, attempt: Attempt, status: int, own: Refusal | None) -> None:
        if own is not None and not attempt.realm:
            offence = Offence.NO_ROUTE if status == 404 else Offence.POLICY
        else:
            offence = Offence.UNKNOWN_USER if status == 404 else Offence.OTHERS_NAME
        what = f"its registration of {attempt.called!r} is refused with {status}"
        self._observe(offence, attempt, _why(own, what), attempt.called)

    # -- whose it is ------------------------------------------------------------------------

    def _is_open(self, network: str) -> bool:
        """Whether strangers may be on a network."""
        known = self._force.networks.get(network)
        return known is not None and not known.trusted

    def _is_peer(self, flow: Flow) -> bool:
        """Whether a flow is a PBX's or trunk's, against which nothing is held."""
        return bool(flow.peer) or self._force.table.sender(flow, self._wire.names(flow)) is not None

    def _known(self, seen: Observation) -> Known:
        flow = seen.flow
        if self._is_peer(flow) or not self._is_open(flow.network):
            return Known(Standing.SPARED)
        if self._exempts(flow.network, flow.remote[0], self.now):
            return Known(Standing.SPARED)
        if self._registrar.has_flow(flow):
            return Known(Standing.REGISTERED)
        why = self._protected.find(flow.remote[0])
        if why:
            return Known(Standing.PROTECTED, why)
        host = source_key(flow.remote[0])
        if host in self._peers_hosts or self._registrar.has_source(flow):
            return Known(Standing.NEIGHBOUR)
        return Known(Standing.STRANGER)

    def _protects(self, source: IpNetwork) -> str:
        why = self._protected.within(source)
        if why:
            return why
        registered = self._registrar.registered_within(source, self._force.networks)
        return "phones are registered from there" if registered else ""

    # -- what is done -----------------------------------------------------------------------

    def expire(self) -> None:
        """Let in again whose time is over."""
        self._carry_out(self.guard.expire(self.now))

    def tell_measures(self, measures: Iterable[Measure]) -> None:
        """Log and carry out what an operator's command led to."""
        self._carry_out(measures)

    def _observe(self, offence: Offence, attempt: Attempt, what: str, subject: str = "") -> None:
        self._tell(self._seen(offence, attempt, what, subject))

    def _seen(self, offence: Offence, attempt: Attempt, what: str, subject: str) -> Observation:
        return Observation(offence, attempt.flow, attempt.proof, what, attempt.call_id, subject)

    def _tell(self, seen: Observation) -> None:
        # What strangers wrote is in it, and it is kept.
        self._carry_out(self.guard.observe(seen._replace(what=seen.what[:MOST_WHAT]), self.now))

    def _carry_out(self, measures: Iterable[Measure]) -> None:
        for measure in measures:
            if isinstance(measure, Banned):
                self._log_ban(measure)
            elif isinstance(measure, Lifted):
                self._log("info", "ban lifted", source=str(measure.ban.source), why=measure.why)
            elif isinstance(measure, Attacked):
                self._log_attack(measure)
            else:
                verb = "throttled" if measure.throttled else "muted"
                network, host, port, *connection = measure.flow
                self._log(
                    "info",
                    f"flow would be {verb}" if measure.shadow else f"flow {verb}",
                    source=(host, port),
                    network=network,
                    connection=connection[0] if connection else None,
                    s=measure.seconds,
                    why=measure.why,
                )
            self.enforce(measure)

    def _log_attack(self, measure: Attacked) -> None:
        self._log(
            "warning",
            "password guessed at",
            user=measure.user,
            sources=measure.sources,
            last=[one.source for one in measure.evidence[-_SHOWN:]],
            advice="the user is not locked out; see that the password is long, or change it",
        )

    def _log_ban(self, measure: Banned) -> None:
        ban = measure.ban
        self._log(
            "warning",
            "source would be banned" if ban.shadow else "source banned",
            source=str(ban.source),
            by=ban.by,
            s=ban.seconds,
            why=ban.why,
            score=ban.score or None,
            call_ids=[one.call_id for one in ban.evidence[-_SHOWN:] if one.call_id] or None,
            lift=f"sbc bans --lift {ban.source}",
        )


def _why(own: Refusal | None, otherwise: str) -> str:
    return otherwise if own is None or not own.explanation else own.explanation


def _nobody(measure: Measure) -> None:
    """Before somebody carries out what is decided."""
