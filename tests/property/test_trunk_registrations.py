"""Whatever registrars, networks and operators do: one REGISTER at a time, and no hammering."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sbc.routing.accounts import Account
from sbc.routing.model import Keepalive
from sbc.sip.user import Abandon, SendRequest
from sbc.trunks.commands import TrunkChanged
from sbc.trunks.table import State
from sbc.trunks.waiting import retry_in
from tests.kit.trunks import CHALLENGE, FIRST, SECOND, STREAM, Office, a_line

ANSWERS = (
    (200, ()),
    (200, ("Contact: <sip:other@x>, <sip:another@x>",)),
    (200, ("Expires: 1",)),
    (200, ("Service-Route: <<",)),
    (401, (f"WWW-Authenticate: {CHALLENGE}",)),
    (401, (f"WWW-Authenticate: {CHALLENGE}, stale=true",)),
    (401, ()),
    (403, ()),
    (423, ("Min-Expires: 900",)),
    (423, ()),
    (503, ("Retry-After: 0",)),
    (503, ("Retry-After: 300",)),
    (100, ()),
    (600, ()),
)
LINES = (
    a_line(flows=(FIRST, SECOND)),
    a_line(flows=(FIRST,)),
    a_line(flows=(STREAM,), expires_s=60),
    a_line("other", flows=(SECOND,)),
    a_line(flows=()),
)
MOST_IN_A_ROUND = 2 * (1 + 3 + 1)
"""Per target: the attempt, three answers to challenges, one to a 423."""


class Registering(RuleBasedStateMachine):
    """One trunk, with everything that can happen to it in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.office = Office(
            {"carrier": LINES[0]}, keepalive=Keepalive("options", 25.0), chance=None
        )
        self.under_way: dict[str, SendRequest] = {}
        self.sent_since_wait: Counter[str] = Counter()
        self.began_waiting = 0.0
        self.failures = 0

    def note(self, commands: list[object]) -> None:
        for command in commands:
            if isinstance(command, SendRequest):
                self.under_way[command.ref] = command
                if command.request.method == "REGISTER":
                    self.sent_since_wait["REGISTER"] += 1
            elif isinstance(command, Abandon):
                del self.under_way[command.ref]
            elif isinstance(command, TrunkChanged):
                self.changed(command)

    def changed(self, news: TrunkChanged) -> None:
        if news.after is State.BACKING_OFF:
            self.began_waiting = self.office.now
            self.failures = self.office.carrier.failures
        elif news.before is State.BACKING_OFF and news.after is State.REGISTERING:
            if not self.hurried:
                waited = self.office.now - self.began_waiting
                assert waited >= retry_in(self.failures, 0.0) - 1e-6
            self.sent_since_wait.clear()
        elif news.after in (State.REGISTERED, State.REFRESHING) or news.before is State.REGISTERED:
            self.sent_since_wait.clear()
        self.hurried = False

    hurried = False
    """Whether an operator or the name service has ended the wait."""

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.0, 40.0, 150.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.office.now + seconds
        while (due := self.office.trunks.next_timeout()) is not None and due <= end:
            self.note(self.office.wait(max(0.0, due - self.office.now)))
        self.note(self.office.wait(max(0.0, end - self.office.now)))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), answer=st.sampled_from(ANSWERS))
    def an_answer_comes(self, data: st.DataObject, answer: tuple[int, tuple[str, ...]]) -> None:
        ref = data.draw(st.sampled_from(sorted(self.under_way)))
        sent = self.under_way[ref]
        if answer[0] >= 200:
            del self.under_way[ref]
        self.note(self.office.reply(sent, answer[0], *answer[1]))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), why=st.sampled_from(["timeout", "transport"]))
    def a_request_fails(self, data: st.DataObject, why: str) -> None:
        ref = data.draw(st.sampled_from(sorted(self.under_way)))
        self.note(self.office.fail(self.under_way.pop(ref), why))

    @rule(flow=st.sampled_from([FIRST, SECOND, STREAM]))
    def a_flow_fails(self, flow: object) -> None:
        office = self.office
        self.note(office.take(office.trunks.flow_failed(flow, "gone", office.now)))

    @rule(flow=st.sampled_from([FIRST, SECOND, STREAM]))
    def a_call_gets_no_answer(self, flow: object) -> None:
        office = self.office
        self.note(office.take(office.trunks.doubt(flow, "silence", office.now)))

    @rule(line=st.sampled_from([*LINES, None]), password=st.sampled_from(["one", "two"]))
    def the_operator_reloads(self, line: object, password: str) -> None:
        office = self.office
        office.account = Account("us", password)
        self.hurried = True
        lines = {} if line is None else {"carrier": line}
        office.configure(lines)
        self.note([*office.news, *office.sent])

    @rule(flows=st.sampled_from([(), (FIRST,), (SECOND, FIRST)]))
    def names_are_resolved(self, flows: tuple[object, ...]) -> None:
        self.hurried = True
        self.office.trunks.locate({"carrier": flows})

    @precondition(lambda self: len(self.office.trunks.registrations))
    @rule()
    def the_operator_hurries(self) -> None:
        self.hurried = self.office.trunks.hurry("carrier", self.office.now) or self.hurried

    @invariant()
    def no_more_is_remembered_than_is_under_way(self) -> None:
        assert len(self.office.trunks._refs) <= 2
        assert set(self.office.trunks._refs) <= set(self.under_way)

    @invariant()
    def no_two_registers_are_under_way(self) -> None:
        asked = [one for one in self.under_way.values() if one.request.method == "REGISTER"]
        assert len(asked) <= 1

    @invariant()
    def a_round_has_an_end(self) -> None:
        assert self.sent_since_wait["REGISTER"] <= MOST_IN_A_ROUND

    @invariant()
    def calls_have_a_way_exactly_while_registered(self) -> None:
        for one in self.office.trunks.registrations:
            registered = one.state in (State.REGISTERED, State.REFRESHING)
            assert (one.home is not None) == registered

    @invariant()
    def something_always_comes_next(self) -> None:
        """Whatever becomes of an answer, a moment comes at which something is done."""
        due = self.office.trunks.next_timeout()
        assert (due is None) == (len(self.office.trunks.registrations) == 0)


Registering.TestCase.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
TestRegistering = Registering.TestCase
