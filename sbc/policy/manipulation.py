"""Header manipulation: rules that change what messages say, in order, within what is legal.

A rule is applied as a whole or not at all: what it leaves must be a message that we would read
ourselves, or the message stays as it was and the reason is told. From and To change where a dialog
begins; whatever follows repeats them, as dialogs and transactions need (RFC 3261 §8.2.6.2,
§12.2.1.1).

Spec: RFC 5853 §3.6 (protocol repair), RFC 3261 §7.3.1.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sbc.policy.facts import Facts
from sbc.policy.manipulation_operations import Operation, touched
from sbc.policy.manipulation_parts import ADDRESSES, IllegalValue, check_text
from sbc.policy.manipulation_rules import HeaderRule, HeaderRules
from sbc.policy.manipulation_values import OURSELVES, End, Passing
from sbc.policy.model import Step
from sbc.policy.proofs import NO_PROOFS, Proofs
from sbc.policy.rules import Action
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import parse_name_addrs_untrusted
from sbc.sip.flow import Flow
from sbc.sip.grammar import read_decimal
from sbc.sip.headers import Headers, key_of
from sbc.sip.message import Message, Request, Response
from sbc.sip.parser import DEFAULT, SINGLE

STAGE: Final = "headers"

_ENDS = frozenset({"from", "to"})
_NEEDED: Final[dict[int, frozenset[str]]] = {
    405: frozenset({"allow"}),
    415: frozenset({"accept", "accept-encoding", "accept-language"}),
    422: frozenset({"min-se"}),
    423: frozenset({"min-expires"}),
    489: frozenset({"allow-events"}),
}
"""By status, what an answer means nothing without.

Spec: RFC 3261 §21.4.6, §21.4.13, §21.4.17; RFC 4028 §6; RFC 6665 §8.3.2.
"""
_BOUNDS = frozenset({"min-expires", "min-se"})
"""Who is told another bound than the one that holds would ask, and be refused, for ever."""
_NUMBERS = frozenset({"expires", "min-expires"})
_MOST_FIELDS = DEFAULT.header_count - 8
"""Fields that a changed message may have: Content-Length and the like are still to come."""
_MOST_BYTES = DEFAULT.head_bytes - 4096
"""Of all headers together; the start line needs room, too."""
_LONGEST_LINE = DEFAULT.line_bytes
_LONGEST_SHOWN = 160
_MOST_SHOWN = 12


class Changes(NamedTuple):
    """The fields that went and those that came, each with name and value."""

    gone: list[tuple[str, str]]
    come: list[tuple[str, str]]

    def __str__(self) -> str:
        lines = [_line("-", item) for item in self.gone] + [_line("+", item) for item in self.come]
        more = len(lines) - _MOST_SHOWN
        return "; ".join(lines[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def manipulate(rules: Iterable[HeaderRule], passing: Passing) -> tuple[list[Step], list[str]]:
    """Apply the rules whose conditions hold to a message, whose headers become others.

    Returns:
        A step for each rule that changed something, with the lines that differ, and for each rule
        that could not be applied a sentence that says why.

    Raises:
        ParseError: a header that a rule asks about is malformed (400).
    """
    message = passing.message
    as_it_was = message.headers
    try:
        return _applied(rules, passing)
    except ParseError:
        # What was asked about cannot be read: then nothing is changed, or half of it would be.
        message.headers = as_it_was
        raise


def _applied(rules: Iterable[HeaderRule], passing: Passing) -> tuple[list[Step], list[str]]:
    message = passing.message
    steps: list[Step] = []
    failures: list[str] = []
    for rule in rules:
        if not rule.when.hold(passing.facts):
            continue
        before = message.headers
        passing.headers = before.copy()
        try:
            for operation in _possible(rule.operations, message):
                operation.apply(passing)
            changes = changes_of(before, passing.headers, rule.touched)
            if not (changes.gone or changes.come):
                continue
            _check_needed(changes, message)
            _check_legal(changes, passing.headers)
        except IllegalValue as error:
            failures.append(f"rule {rule.name!r} ({rule.where}) was not applied: {error}")
            continue
        action = Action("change", 0, str(changes))
        steps.append(Step(STAGE, rule.name, rule.where, action, rule.when.tested(passing.facts)))
        message.headers = passing.headers
    return steps, failures


class Answerer(NamedTuple):
    """Whoever a request was passed on to, and answered it."""

    peer: str
    flow: Flow
    trusted: bool
    """Whether its network is trusted."""

    @property
    def end(self) -> End:
        """As rules know it."""
        return End(self.peer, self.flow.network)


@dataclass(slots=True)
class Manipulation:
    """The rules on the way of one request, perhaps to several in turn, and of its answers."""

    rules: HeaderRules
    sender: End
    facts: Facts
    """What is known of the request as it came."""
    proofs: Proofs = NO_PROOFS
    steps: list[Step] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def leave(self, message: Request, source: Request, receiver: End) -> None:
        """Change what a complete message says before it leaves to a receiver.

        Args:
            source: The request that it stands for.

        Raises:
            ParseError: a header that a rule asks about is malformed (400).
        """
        fitting = self.rules.fitting("out", message, self.sender, receiver)
        if fitting:
            facts = replace(self.facts, message=message)
            self._apply(fitting, Passing(facts, message, self.sender, receiver, source))

    def answer(self, response: Response) -> None:
        """Change what an answer of our own says before it leaves to whoever sent the request.

        It comes from no peer and no network; conditions ask about the request that it answers.
        """
        fitting = self.rules.fitting("out", response, OURSELVES, self.sender)
        if fitting:
            facts = replace(self.facts, message=response)
            with self._unreadable_left():
                self._apply(fitting, Passing(facts, response, OURSELVES, self.sender))

    def arrive(self, response: Response, answerer: Answerer) -> None:
        """Change what an answer says that came, before anything is made of it."""
        fitting = self.rules.fitting("in", response, answerer.end, None)
        if fitting:
            with self._unreadable_left():
                facts = self._facts_of(answerer, response)
                self._apply(fitting, Passing(facts, response, answerer.end))

    def pass_back(self, response: Response, source: Response, answerer: Answerer) -> None:
        """Change what an answer says before it leaves to whoever sent the request.

        Args:
            source: The answer that it stands for.
        """
        fitting = self.rules.fitting("out", response, answerer.end, self.sender)
        if fitting:
            with self._unreadable_left():
                facts = self._facts_of(answerer, response)
                passing = Passing(facts, response, answerer.end, self.sender, source)
                self._apply(fitting, passing)

    def told(self) -> tuple[list[Step], list[str]]:
        """What was done since this was asked last: steps, and what could not be done and why."""
        done = self.steps, self.failures
        self.steps, self.failures = [], []
        return done

    def _apply(self, rules: tuple[HeaderRule, ...], passing: Passing) -> None:
        steps, failures = manipulate(rules, passing)
        self.steps += steps
        self.failures += failures

    @contextmanager
    def _unreadable_left(self) -> Iterator[None]:
        """Leave an answer as it is where a rule asks about what cannot be read."""
        try:
            yield
        except ParseError as error:
            self.failures.append(f"the answer stays as it is: {error.reason}")

    def _facts_of(self, answerer: Answerer, response: Response) -> Facts:
        """What is known of an answer that came; its numbers are those of the request.

        Raises:
            ParseError: the request's numbers cannot be read.
        """
        asked, flow = self.facts, answerer.flow
        return Facts(
            network=flow.network,
            trusted=answerer.trusted,
            host=flow.remote[0],
            method=asked.method,
            peer=answerer.peer,
            user_agent=response.headers.first("user-agent"),
            port=flow.remote[1],
            transport=flow.transport,
            proven=self.proofs.names(flow),
            tls_version=self.proofs.tls_version(flow),
            message=response,
            world=asked.world,
            now=asked.now,
            found={"called": asked.called_number, "caller": asked.caller_number},
        )


def copied(message: Request) -> Request:
    """A request that can be changed while the one that came stays as it is."""
    return Request(
        message.method, message.uri_text, message.headers.copy(), message.body, message.raw
    )


def begins_dialog(message: Message) -> bool:
    """Whether From and To are said for the first time; those of a REGISTER say what is its own."""
    if not isinstance(message, Request) or message.method != "INVITE":
        return False
    return message.to_tag is None


def changes_of(before: Headers, after: Headers, keys: frozenset[str]) -> Changes:
    """What differs of the headers named; that a field only moved is no difference."""
    old, new = before.among(keys), after.among(keys)
    gone = []
    for item in old:
        try:
            new.remove(item)
        except ValueError:
            gone.append(item)
    return Changes(gone, new)


def _line(sign: str, item: tuple[str, str]) -> str:
    line = f"{sign}{item[0]}: {item[1]}"
    line = line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 3] + "..."
    return line if line.isprintable() else ascii(line)[1:-1]


def _possible(operations: tuple[Operation, ...], message: Message) -> Iterable[Operation]:
    """The operations that a message allows: From and To only where a dialog begins."""
    if begins_dialog(message):
        return operations
    return [one for one in operations if _ENDS.isdisjoint(touched(one))]


def _check_needed(changes: Changes, message: Message) -> None:
    """Make sure that an answer still says what its status is about.

    Raises:
        IllegalValue: it does not.
    """
    if not isinstance(message, Response):
        return
    needed = _NEEDED.get(message.status, frozenset())
    said = {key_of(name) for name, _ in changes.come}
    for name, _ in changes.gone:
        key = key_of(name)
        if key in needed and (key in _BOUNDS or key not in said):
            raise IllegalValue(f"a {message.status} means nothing without its {name}")


def _check_legal(changes: Changes, after: Headers) -> None:
    """Make sure that headers with changes can be said, and read.

    Raises:
        IllegalValue: they cannot.
    """
    if len(after) > _MOST_FIELDS and len(changes.come) > len(changes.gone):
        raise IllegalValue(f"the message would have more than {_MOST_FIELDS} headers")
    for name, value in changes.come:
        _check_line(name, value)
        key = key_of(name)
        if key in SINGLE and len(after.all(key)) > 1:
            raise IllegalValue(f"{name} would be there twice")
        if key in ADDRESSES:
            _check_address(value)
        elif key in _NUMBERS and read_decimal(value, 2**32 - 1) is None:
            raise IllegalValue(f"{value!a} is no number of seconds")
    lines = "\r\n".join([f"{name}: {value}" for name, value in after.items()])
    if len(lines.encode("utf-8", "surrogateescape")) > _MOST_BYTES:
        raise IllegalValue(f"the headers would be longer than {_MOST_BYTES} bytes")


def _check_line(name: str, value: str) -> None:
    check_text(value)
    if len((name + value).encode("utf-8", "surrogateescape")) + 2 > _LONGEST_LINE:
        raise IllegalValue(f"{name} would be longer than {_LONGEST_LINE} bytes")
    if value != value.strip(" \t"):
        raise IllegalValue(f"{name} would begin or end with a space")


def _check_address(value: str) -> None:
    try:
        found = parse_name_addrs_untrusted(value)
    except ParseError:
        found = []
    if not found:
        raise IllegalValue(f"{value!a} is no address")
