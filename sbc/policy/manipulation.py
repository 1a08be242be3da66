"""Header manipulation: rules that change what messages say, in order, within what is legal.

A rule is applied as a whole or not at all: what it leaves must be a message that we would read
ourselves, or the message stays as it was and the reason is told. From and To change where a dialog
begins; whatever follows repeats them, as dialogs and transactions need (RFC 3261 §8.2.6.2,
§12.2.1.1).

Spec: RFC 5853 §3.6 (protocol repair), RFC 3261 §7.3.1.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from sbc.policy.manipulation_operations import Operation
from sbc.policy.manipulation_parts import IllegalValue, check_text
from sbc.policy.manipulation_rules import HeaderRule
from sbc.policy.manipulation_values import Passing
from sbc.policy.model import Step
from sbc.policy.rules import Action
from sbc.sip.errors import ParseError
from sbc.sip.fields.name_addr import parse_name_addrs_untrusted
from sbc.sip.grammar import read_decimal
from sbc.sip.headers import Headers
from sbc.sip.message import Message, Request
from sbc.sip.parser import DEFAULT, SINGLE

STAGE: Final = "headers"

ADDRESSES: Final = frozenset(
    {"from", "to", "p-asserted-identity", "p-preferred-identity", "remote-party-id", "diversion",
     "history-info", "referred-by", "refer-to", "reply-to", "p-called-party-id"}
)  # fmt: skip
"""Headers that must stay addresses."""

_NUMBERS = frozenset({"expires", "min-expires"})
_MOST_FIELDS = DEFAULT.header_count - 8
"""Fields that a changed message may have: Content-Length and the like are still to come."""
_MOST_BYTES = DEFAULT.head_bytes - 4096
_LONGEST_LINE = DEFAULT.line_bytes
_LONGEST_SHOWN = 160
_MOST_SHOWN = 12


def manipulate(rules: Iterable[HeaderRule], passing: Passing) -> tuple[list[Step], list[str]]:
    """Apply the rules whose conditions hold to a message, whose headers become others.

    Returns:
        A step for each rule that changed something, with the lines that differ, and for each rule
        that could not be applied a sentence that says why.

    Raises:
        ParseError: a header that a rule asks about is malformed (400).
    """
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
            if passing.headers == before:
                continue
            _check_legal(before, passing.headers)
        except IllegalValue as error:
            failures.append(f"rule {rule.name!r} ({rule.where}) was not applied: {error}")
            continue
        shown = difference(before, passing.headers)
        tested = rule.when.tested(passing.facts)
        steps.append(Step(STAGE, rule.name, rule.where, Action("change", 0, shown), tested))
        message.headers = passing.headers
    return steps, failures


def copied(message: Request) -> Request:
    """A request that can be changed while the one that came stays as it is."""
    return Request(
        message.method, message.uri_text, message.headers.copy(), message.body, message.raw
    )


def begins_dialog(message: Message) -> bool:
    """Whether From and To are said for the first time."""
    if not isinstance(message, Request) or message.method in ("ACK", "CANCEL"):
        return False
    return message.to_tag is None


def difference(before: Headers, after: Headers) -> str:
    """The lines that differ, as ``-X: old; +X: new``; long ones cut."""
    old, new = Counter(before.items()), Counter(after.items())
    gone, come = old - new, new - old
    lines = [*_lines("-", before, gone), *_lines("+", after, come)]
    more = len(lines) - _MOST_SHOWN
    return "; ".join(lines[:_MOST_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _lines(sign: str, headers: Headers, wanted: Counter[tuple[str, str]]) -> Iterable[str]:
    left = wanted.copy()
    for item in headers.items():
        if left[item] > 0:
            left[item] -= 1
            line = f"{sign}{item[0]}: {item[1]}"
            line = line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 3] + "..."
            yield line if line.isprintable() else ascii(line)[1:-1]


def _possible(operations: tuple[Operation, ...], message: Message) -> Iterable[Operation]:
    """The operations that a message allows: From and To only where a dialog begins."""
    if begins_dialog(message):
        return operations
    return [one for one in operations if not _touched(one) & {"from", "to"}]


def _touched(operation: Operation) -> set[str]:
    to = getattr(operation, "to", operation.part)
    return {operation.part.key, to.key}


def _check_legal(before: Headers, after: Headers) -> None:
    """Make sure that headers with changes can be said, and read.

    Raises:
        IllegalValue: they cannot.
    """
    if len(after) > max(_MOST_FIELDS, len(before)):
        raise IllegalValue(f"the message would have more than {_MOST_FIELDS} headers")
    known = set(before.items())
    size = 0
    for name, value in after.items():
        size += len(name) + len(value) + 4
        if (name, value) not in known:
            _check_line(name, value)
    if size > _MOST_BYTES:
        raise IllegalValue(f"the headers would be longer than {_MOST_BYTES} characters")
    for key in SINGLE:
        if len(after.all(key)) > 1 and len(before.all(key)) < 2:
            raise IllegalValue(f"{key} would be there twice")
    for key in ADDRESSES | _NUMBERS:
        _check_kind(key, before.all(key), after.all(key))


def _check_line(name: str, value: str) -> None:
    check_text(value)
    if len((name + value).encode("utf-8", "surrogateescape")) + 2 > _LONGEST_LINE:
        raise IllegalValue(f"{name} would be longer than {_LONGEST_LINE} bytes")
    if value != value.strip(" \t"):
        raise IllegalValue(f"{name} would begin or end with a space")


def _check_kind(key: str, before: list[str], after: list[str]) -> None:
    if after == before:
        return
    check: Callable[[str], object] = _check_number if key in _NUMBERS else _check_address
    for value in after:
        if value not in before:
            check(value)


def _check_number(value: str) -> None:
    if read_decimal(value, 2**32 - 1) is None:
        raise IllegalValue(f"{value!a} is no number of seconds")


def _check_address(value: str) -> None:
    try:
        found = parse_name_addrs_untrusted(value)
    except ParseError:
        found = []
    if not found:
        raise IllegalValue(f"{value!a} is no address")
