"""Number handling: what is dialled, as E.164 inside and as each peer wants it outside.

Only what is a possible number of the plan is brought into another form. Short codes, emergency
numbers, extensions and names are nobody's E.164 and stay as they are.

Spec: RFC 3966 (tel URIs), RFC 3261 §19.1.6 (tel and sip), ITU-T E.164.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol
from urllib.parse import unquote

from sbc.routing.numbers import NumberFormat, NumberRules, PrefixRule, Rewriting
from sbc.routing.patterns import number_matches
from sbc.sip.uri import Uri, escape_user

if TYPE_CHECKING:
    from sbc.policy.world import World

_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")
"""What a number may hold for the eye only (RFC 3966 §5.1.1), and spaces, which it may not."""

_WRITTEN: Final = re.compile(
    r"(?=[.()\- ]*+\+|(?:[.()\- ]*+[0-9]){8})"
    r"[.()\- ]*+\+?[.()\- ]*+[0-9][0-9.()\- ]*+(?:;.*)?",
    re.DOTALL,
)
"""What can only be a telephone number, whether the URI says so or not: what begins with a plus, or
has eight digits. An extension may have separators of its own."""

_CONTEXT: Final = "phone-context"

_STEERING: Final = frozenset(
    {"rn", "rn-context", "npdi", "cic", "cic-context", "tgrp", "trunk-context"}
)
"""Parameters that lead a call elsewhere than its number says (RFC 4694 §4, RFC 4904 §5)."""

_SIP: Final = frozenset({"sip", "sips"})

_LONGEST_SHOWN = 40

NumberRole = Literal["called", "caller"]


class NumberPlan(Protocol):
    """The numbering plans of the world."""

    def e164(self, number: str, country: str) -> str | None:
        """A number as dialled in a country, as ``+`` and at most 15 digits (E.164 §6.2.1).

        What is no possible number of the plan, or one that stays within a country, is None. The
        result given again is itself.
        """

    def national(self, e164: str, country: str) -> str:
        """An E.164 number as it is dialled in a country; digits only."""


class NoPlan:
    """A numbering plan that knows no number."""

    def e164(self, number: str, country: str) -> str | None:
        """Nothing is a number."""
        del number, country
        return None

    def national(self, e164: str, country: str) -> str:
        """The number without its plus."""
        del country
        return e164.removeprefix("+")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A number after its rules, and what they did."""

    number: str
    why: str = ""
    """``030123 -> +4930123 (e164)``; empty where nothing changed."""


def rewrite(number: str, rewriting: Rewriting, country: str, plan: NumberPlan) -> Rewritten:
    """Apply one direction's rules to a number: its first matching prefix rule, format, the same."""
    reasons: list[str] = []
    result = _apply(number, rewriting.before, reasons)
    formatted = format_number(result, rewriting.format, country, plan)
    if formatted != result:
        reasons.append(f"{rewriting.format} {country}".rstrip())
    result = _apply(formatted, rewriting.after, reasons)
    if result == number:
        return Rewritten(number)
    return Rewritten(result, f"{_shown(number)} -> {_shown(result)} ({', '.join(reasons)})")


def format_number(number: str, form: NumberFormat, country: str, plan: NumberPlan) -> str:
    """A number in another form; as it is if the plan does not know it."""
    if form == "as-is":
        return number
    e164 = plan.e164(number, country)
    if e164 is None:
        return number
    if form == "national":
        return plan.national(e164, country)
    return {"e164": "", "international": "", "international-00": "00"}[form] + (
        e164 if form == "e164" else e164[1:]
    )


def passed(
    number: str,
    origin: NumberRules,
    receiver: NumberRules,
    role: NumberRole,
    plan: NumberPlan,
) -> Rewritten:
    """A number on its way from one peer to another: inbound rules of one, outbound of the other."""
    first = received(number, origin, role, plan)
    second = sent(first.number, receiver, role, plan)
    return Rewritten(second.number, "; ".join(why for why in (first.why, second.why) if why))


def dialled(uri: Uri, rules: NumberRules, world: "World") -> Rewritten:
    """What a URI that a peer sent calls, in the form that it has inside.

    A ``phone-context`` that begins a global number is put in front of a local one if together they
    are a number of the plan; otherwise the local number counts alone, or a context would be a way
    around the routes for what it hides. A domain as context says nothing that we could use, and an
    emergency number is one in every context. An emergency service has the number that policies
    give it.

    Spec: RFC 3966 §5.1.5, RFC 5031 §4.2.
    """
    number, plan = number_of(uri), world.plan
    service = world.emergency.serving(uri)
    if service:
        return Rewritten(service, f"{_shown(str(uri))} -> {service} (emergency service)")
    context = _context_of(uri)
    inbound = rules.inbound
    local = received(number, rules, "called", plan)
    combines = context and inbound.called and inbound.format == "e164" and not is_global(number)
    if combines and not world.is_emergency(local.number):
        whole = plan.e164(context + number, rules.country)
        if whole is not None:
            final = received(whole, rules, "called", plan)
            first = f"{_shown(number)} -> {whole} (phone-context {context})"
            return Rewritten(final.number, f"{first}; {final.why}" if final.why else first)
    return local


def received(number: str, rules: NumberRules, role: NumberRole, plan: NumberPlan) -> Rewritten:
    """A number as a peer sent it, in the form that it has inside."""
    return _if_wanted(number, rules.inbound, role, rules.country, plan)


def sent(number: str, rules: NumberRules, role: NumberRole, plan: NumberPlan) -> Rewritten:
    """A number of the inside in the form that a peer wants."""
    return _if_wanted(number, rules.outbound, role, rules.country, plan)


def number_of(uri: Uri) -> str:
    """The number, or name, that a URI calls: unescaped, without visual separators and parameters.

    A number that does not say that it is one (``sip:+49-900-1;x=y@host``) is read like one that
    does: whoever gets it may dial it, so no rule may take it for a name.

    Spec: RFC 3966 §5.1.1, RFC 3261 §19.1.6.
    """
    user = unquote(uri.user) if uri.user is not None and "%" in uri.user else uri.user or ""
    if not is_phone(uri) and not _WRITTEN.fullmatch(user):
        return user
    return user.partition(";")[0].translate(_VISUAL_SEPARATORS)


def is_phone(uri: Uri) -> bool:
    """Whether a URI says that it holds a telephone number; only such a one has a context."""
    if uri.scheme not in _SIP:
        return uri.scheme == "tel"
    if uri.param("user") == "phone":
        return True
    return _has_params(uri) and any(name == _CONTEXT for name, _ in _params(uri))


def is_global(number: str) -> bool:
    """Whether a number is ``+`` and digits: the same everywhere (RFC 3966 §5.1.4)."""
    digits = number[1:]
    return number[:1] == "+" and digits.isascii() and digits.isdigit()


def user_calling(uri: Uri, number: str) -> str:
    """The user part, escaped, of a SIP URI that calls a number as `uri` calls what it does.

    Parameters of a telephone number stay, except the context, which was understood.
    """
    # Those that are no SIP URIs may hold what ends the user part of one.
    if not is_phone(uri):
        is_as_written = number == number_of(uri) and uri.scheme in _SIP
        return uri.user or "" if is_as_written else _escaped(number)
    kept = [escape_user(param) for name, param in _params(uri) if name not in ("", _CONTEXT)]
    return ";".join([_escaped(number), *kept])


def unsteered(uri: Uri) -> Uri:
    """A URI without what would lead a call elsewhere than the number does, which is judged."""
    if not _has_params(uri):
        return uri
    number = (uri.user or "").partition(";")[0]
    kept = [param for name, param in _params(uri) if name not in _STEERING]
    return replace(uri, user=";".join([number, *kept]))


def _context_of(uri: Uri) -> str:
    """The phone-context of a telephone number if it is the beginning of a global one."""
    if _has_params(uri) and is_phone(uri):
        for name, param in _params(uri):
            context = param.partition("=")[2].translate(_VISUAL_SEPARATORS)
            if name == _CONTEXT and is_global(context):
                return context
    return ""


def _has_params(uri: Uri) -> bool:
    return uri.user is not None and ";" in uri.user


def _params(uri: Uri) -> list[tuple[str, str]]:
    """The parameters of a telephone number, each with its name, unescaped and in lower case."""
    params = (uri.user or "").split(";")[1:]
    return [(unquote(param.partition("=")[0]).strip().lower(), param) for param in params]


def _escaped(number: str) -> str:
    return escape_user(number.replace("%", "%25"))


def _if_wanted(
    number: str, rewriting: Rewriting, role: NumberRole, country: str, plan: NumberPlan
) -> Rewritten:
    wanted = rewriting.called if role == "called" else rewriting.caller
    if not wanted or not rewriting.changes:
        return Rewritten(number)
    return rewrite(number, rewriting, country, plan)


def _shown(number: str) -> str:
    """A number for journal and records: one line, however long or strange it is."""
    short = number if len(number) <= _LONGEST_SHOWN else f"{number[:_LONGEST_SHOWN]}..."
    return short if short.isprintable() else ascii(short)


def _apply(number: str, rules: tuple[PrefixRule, ...], reasons: list[str]) -> str:
    """A number after the first rule that matches; nothing is left of none."""
    for rule in rules:
        if number and number_matches(rule.pattern, number):
            reasons.append(f"rule {rule.where}" if rule.where else "rule")
            return rule.add + number[rule.strip :]
    return number
