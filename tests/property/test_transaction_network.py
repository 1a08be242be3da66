"""Two transaction layers joined by a terrible network: what was asked gets answered, once.

The users of both layers do no more than RFC 3261 asks of them: acknowledge 2xx, repeat 2xx until
acknowledged, answer CANCEL.
"""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sbc.sip.dialog import Dialog
from sbc.sip.flow import Address, Flow
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response, make_response, serialize
from sbc.sip.parser import parse_message_untrusted
from sbc.sip.timers import T1, T2, TIMEOUT, Deadlines
from sbc.sip.transaction.events import (
    AckArrived,
    Output,
    RequestArrived,
    RequestFailed,
    ResponseArrived,
    ResponseUnacknowledged,
    Transmit,
)
from sbc.sip.transaction.layer import Counts, TransactionLayer, client_key
from tests.kit.terrible_network import Fate, TerribleNetwork

CALLER: Address = ("192.0.2.1", 5060)
CALLEE: Address = ("192.0.2.2", 5060)
NOTHING_LIVE = Counts(0, 0, 0, 0)
Post = tuple[Address, bytes]


class User:
    """A transaction layer with its user, as an endpoint of the network."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.layer = TransactionLayer()
        self.plans: Deadlines[str] = Deadlines()
        self.actions: dict[str, Callable[[float], list[Output]]] = {}

    def receive(self, source: Address, payload: bytes, now: float) -> list[Post]:
        message = parse_message_untrusted(payload)
        return self.carry_out(self.layer.receive(message, self.flow(source), now), now)

    def handle_timeout(self, now: float) -> list[Post]:
        posts = self.carry_out(self.layer.handle_timeout(now), now)
        for name in self.plans.pop_due(now):
            posts += self.carry_out(self.actions.pop(name)(now), now)
        return posts

    def next_timeout(self) -> float | None:
        times = [self.layer.next_timeout(), self.plans.next()]
        return min((at for at in times if at is not None), default=None)

    def carry_out(self, outputs: Iterable[Output], now: float) -> list[Post]:
        posts: list[Post] = []
        for output in outputs:
            if isinstance(output, Transmit):
                posts.append((output.flow.remote, output.data))
            else:
                posts += self.carry_out(self.hear(output, now), now)
        return posts

    def hear(self, output: Output, now: float) -> list[Output]:
        raise NotImplementedError

    def plan(self, name: str, at: float, action: Callable[[float], list[Output]]) -> None:
        self.plans.set(name, at)
        self.actions[name] = action

    def flow(self, remote: Address) -> Flow:
        return Flow("net", "udp", self.address, remote)


class Caller(User):
    """Sends one request, perhaps cancels it, and gives up after 100 seconds."""

    def __init__(self, method: str, cancel_after_s: float | None = None) -> None:
        super().__init__(CALLER)
        self.method = method
        self.cancel_after_s = cancel_after_s
        self.finals: list[int] = []
        self.failures: list[str] = []
        self.request = a_request(method)
        self.key = ""
        self.dialog: Dialog | None = None

    def start(self, now: float) -> list[Post]:
        self.key, outputs = self.layer.send_request(self.request, self.flow(CALLEE), now)
        self.plan("give up", now + 100, lambda at: self.layer.abandon(self.key, at))
        return self.carry_out(outputs, now)

    def hear(self, output: Output, now: float) -> list[Output]:
        match output:
            case ResponseArrived(key, response, flow) if key == self.key:
                return self.hear_response(response, flow, now)
            case RequestFailed(key, why) if key == self.key:
                self.failures.append(why)
        return []

    def hear_response(self, response: Response, flow: Flow, now: float) -> list[Output]:
        if response.status >= 200:
            self.finals.append(response.status)
        if self.method != "INVITE":
            return []
        if 200 <= response.status < 300:
            dialog = Dialog.from_response(self.request, response, flow)
            ack = dialog.build_ack(1, "z9hG4bKack", "192.0.2.1:5060")
            return self.layer.send_ack(ack, flow)
        if response.status < 200 and self.cancel_after_s is not None and not self.finals:
            self.plan("cancel", now + self.cancel_after_s, self.cancel)
            self.cancel_after_s = None
        return []

    def cancel(self, now: float) -> list[Output]:
        if self.finals:
            return []
        headers = Headers(
            [(n, v) for n, v in self.request.headers.items() if n not in {"CSeq", "Contact"}]
        )
        headers.append("CSeq", "1 CANCEL")
        cancel = Request("CANCEL", self.request.uri_text, headers)
        return self.layer.send_request(cancel, self.flow(CALLEE), now)[1]


class Callee(User):
    """Answers each request once, at its time."""

    def __init__(self, status: int, after_s: float) -> None:
        super().__init__(CALLEE)
        self.status = status
        self.after_s = after_s
        self.requests: list[str] = []
        self.acks = 0
        self.unacknowledged = 0
        self.final: Response | None = None
        self.invite: tuple[str, Request] | None = None

    def hear(self, output: Output, now: float) -> list[Output]:
        match output:
            case RequestArrived(key, request, _, cancels):
                self.requests.append(request.method)
                return self.hear_request(key, request, cancels, now)
            case AckArrived():
                self.acks += 1
            case ResponseUnacknowledged():
                self.unacknowledged += 1
        return []

    def hear_request(
        self, key: str, request: Request, cancels: str | None, now: float
    ) -> list[Output]:
        if request.method == "CANCEL":
            outputs = self.layer.respond(
                key, make_response(request, 200 if cancels else 481, to_tag="b1"), now
            )
            if cancels and self.final is None:
                outputs += self.answer(*self.invite_for(cancels), 487, now)
            return outputs
        self.plan("answer", now + self.after_s, lambda at: self.finish(key, request, at))
        if request.method != "INVITE":
            return []
        self.invite = (key, request)
        outputs = self.layer.respond(key, make_response(request, 100), now)
        return outputs + self.layer.respond(key, make_response(request, 180, to_tag="b1"), now)

    def invite_for(self, key: str) -> tuple[str, Request]:
        assert self.invite is not None
        assert self.invite[0] == key
        return self.invite

    def finish(self, key: str, request: Request, now: float) -> list[Output]:
        return [] if self.final is not None else self.answer(key, request, self.status, now)

    def answer(self, key: str, request: Request, status: int, now: float) -> list[Output]:
        self.final = make_response(request, status, to_tag="b1")
        if status < 300:
            self.final.headers.append("Contact", "<sip:600@192.0.2.2:5060>")
        if request.method == "INVITE" and status < 300:
            self.repeat_until_ack(key, T1, now + TIMEOUT, now)
        return self.layer.respond(key, self.final, now)

    def repeat_until_ack(self, key: str, interval_s: float, end: float, now: float) -> None:
        def repeat(at: float) -> list[Output]:
            if self.acks or self.final is None:
                return []
            self.repeat_until_ack(key, min(2 * interval_s, T2), end, at)
            return self.layer.respond(key, self.final, at)

        if now + interval_s < end:
            self.plan("repeat", now + interval_s, repeat)


def a_request(method: str) -> Request:
    data = (
        f"{method} sip:600@192.0.2.2 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.1>;tag=a1\r\nTo: <sip:600@192.0.2.2>\r\n"
        f"Call-ID: 1\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.1>\r\n\r\n"
    )
    request = parse_message_untrusted(data.encode())
    assert isinstance(request, Request)
    return request


SCENARIOS: dict[str, tuple[str, int, float, float | None]] = {
    "an accepted call": ("INVITE", 200, 2.0, None),
    "a call accepted at once": ("INVITE", 200, 0.0, None),
    "a rejected call": ("INVITE", 486, 2.0, None),
    "a cancelled call": ("INVITE", 200, 20.0, 1.0),
    "a call cancelled as it is answered": ("INVITE", 200, 1.0, 1.0),
    "a ping": ("OPTIONS", 200, 0.0, None),
    "a refused ping": ("OPTIONS", 404, 0.1, None),
    "a slow ping": ("OPTIONS", 200, 9.0, None),
}


def play(scenario: str, network: TerribleNetwork[Address, bytes]) -> tuple[Caller, Callee]:
    method, status, after_s, cancel_after_s = SCENARIOS[scenario]
    caller, callee = Caller(method, cancel_after_s), Callee(status, after_s)
    network.attach(CALLER, caller)
    network.attach(CALLEE, callee)
    network.post_all(CALLER, caller.start(0.0))
    network.run(until=1000.0)
    return caller, callee


def assert_nothing_is_left(network, caller, callee):
    assert network.idle
    assert caller.layer.counts == NOTHING_LIVE
    assert callee.layer.counts == NOTHING_LIVE


def assert_it_completed(scenario, caller, callee):
    method, status, _, cancelled = SCENARIOS[scenario]
    assert caller.failures == []
    assert callee.requests.count(method) == 1, "the user hears of a request once"
    assert callee.requests.count("CANCEL") <= 1
    assert callee.unacknowledged == 0
    expected = {status} if cancelled is None else {status, 487}
    assert set(caller.finals) <= expected
    assert set(caller.finals) == {callee.final.status}
    if caller.finals[0] == 200 and method == "INVITE":
        assert callee.acks >= 1
    else:
        assert len(caller.finals) == 1, "any other final response is told once"
        assert callee.acks == 0


def datagrams_of(scenario: str) -> int:
    network: TerribleNetwork[Address, bytes] = TerribleNetwork()
    play(scenario, network)
    return len(network.record)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_undisturbed_network_carries_it_through(scenario):
    network: TerribleNetwork[Address, bytes] = TerribleNetwork()
    caller, callee = play(scenario, network)
    assert_it_completed(scenario, caller, callee)
    assert_nothing_is_left(network, caller, callee)


@pytest.mark.parametrize("fate", [Fate.DROP, Fate.DUPLICATE, Fate.REORDER])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_single_datagram_may_be_lost_doubled_or_late(scenario, fate):
    number = 0
    while number < datagrams_of(scenario) + 3:
        network: TerribleNetwork[Address, bytes] = TerribleNetwork(fates={number: fate})
        caller, callee = play(scenario, network)
        assert_it_completed(scenario, caller, callee)
        assert_nothing_is_left(network, caller, callee)
        number += 1


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_any_two_datagrams_may_be_lost(scenario):
    count = datagrams_of(scenario) + 2
    for first in range(count):
        for second in range(first + 1, count):
            fates = {first: Fate.DROP, second: Fate.DROP}
            network: TerribleNetwork[Address, bytes] = TerribleNetwork(fates=fates)
            caller, callee = play(scenario, network)
            assert_it_completed(scenario, caller, callee)
            assert_nothing_is_left(network, caller, callee)


@given(
    scenario=st.sampled_from(sorted(SCENARIOS)),
    seed=st.integers(0, 2**32),
    drop=st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]),
    duplicate=st.sampled_from([0.0, 0.3, 1.0]),
    slowest_s=st.sampled_from([0.02, 0.3, 2.0]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_network_does_nothing_is_left_in_the_end(
    scenario, seed, drop, duplicate, slowest_s
):
    network: TerribleNetwork[Address, bytes] = TerribleNetwork(
        seed, drop=drop, duplicate=duplicate, delay_s=(0.01, slowest_s)
    )
    caller, callee = play(scenario, network)
    assert_nothing_is_left(network, caller, callee)
    assert len(caller.failures) <= 1
    assert not (caller.failures and caller.finals)
    if callee.requests.count(SCENARIOS[scenario][0]):
        assert callee.final is not None
        assert set(caller.finals) <= {callee.final.status}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_same_seed_is_the_same_history(seed):
    records = []
    for _ in range(2):
        network: TerribleNetwork[Address, bytes] = TerribleNetwork(
            seed, drop=0.3, duplicate=0.3, delay_s=(0.01, 1.0)
        )
        play("a cancelled call", network)
        records.append(network.record)
    assert records[0] == records[1]


METHODS = st.sampled_from(("INVITE", "ACK", "CANCEL", "OPTIONS", "BYE"))
STATUSES = st.sampled_from((100, 180, 183, 200, 202, 302, 408, 487, 500, 603))
BRANCHES = st.integers(1, 3)


class AnyOrder(RuleBasedStateMachine):
    """Any order of inputs is taken, and in the end all timers run out."""

    @initialize(transport=st.sampled_from(("udp", "tcp")))
    def begin(self, transport: str) -> None:
        self.layer = TransactionLayer()
        self.flow = Flow("net", transport, CALLEE, CALLER, 0 if transport == "udp" else 1)
        self.arrived: list[RequestArrived] = []
        self.now = 0.0

    @rule(method=METHODS, branch=BRANCHES)
    def receive_request(self, method: str, branch: int) -> None:
        outputs = self.layer.receive(numbered(method, branch), self.flow, self.now)
        assert len(outputs) <= 1
        self.arrived += [output for output in outputs if isinstance(output, RequestArrived)]

    @rule(method=METHODS, branch=BRANCHES, status=STATUSES)
    def receive_response(self, method: str, branch: int, status: int) -> None:
        response = make_response(numbered(method, branch), status, to_tag="b1")
        outputs = self.layer.receive(
            parse_message_untrusted(serialize(response)), self.flow, self.now
        )
        assert len(outputs) <= 2

    @rule(method=METHODS.filter(lambda method: method != "ACK"), branch=BRANCHES)
    def send_request(self, method: str, branch: int) -> None:
        request = numbered(method, branch)
        if self.layer.has(client_key(self.flow, method, f"z9hG4bK{branch}")):
            with pytest.raises(ValueError, match="in use"):
                self.layer.send_request(request, self.flow, self.now)
        else:
            key, _ = self.layer.send_request(request, self.flow, self.now)
            assert self.layer.has(key)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data(), status=STATUSES)
    def respond(self, data: st.DataObject, status: int) -> None:
        chosen = data.draw(st.sampled_from(self.arrived))
        response = make_response(chosen.request, status, to_tag="b1")
        assert len(self.layer.respond(chosen.key, response, self.now)) <= 1

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        assert self.layer.abandon(data.draw(st.sampled_from(self.arrived)).key, self.now) == []

    @rule()
    def lose_the_flow(self) -> None:
        for output in self.layer.transport_failed(self.flow, self.now):
            assert isinstance(output, RequestFailed)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.layer.handle_timeout(self.now)
        due = self.layer.next_timeout()
        assert due is None or due > self.now

    @invariant()
    def no_transaction_runs_more_than_two_timers(self) -> None:
        counts = self.layer.counts
        assert counts.timers <= 2 * (counts.clients + counts.servers)
        assert counts.paths <= 1

    def teardown(self) -> None:
        for key in [*self.layer._clients, *self.layer._servers]:
            self.layer.abandon(key, self.now)
        while (at := self.layer.next_timeout()) is not None:
            self.layer.handle_timeout(at)
        assert self.layer.counts == NOTHING_LIVE


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def numbered(method: str, number: int) -> Request:
    request = a_request(method)
    request.headers.set("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number};rport")
    return request
