"""What a registrar's answer, or its silence, means to a registration.

Spec: RFC 3261 §10.2.8 (423), §21 (statuses), §22 (challenges), RFC 5626 §4.4.1 (flow failure).
"""

from typing import Final, NamedTuple

from sbc.routing.facing import host_port
from sbc.sip.digest import Login, parse_challenges_untrusted
from sbc.sip.errors import ParseError
from sbc.sip.fields.retry_after import retry_after_of
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.trunks.messages import (
    min_expires,
    read_grant_untrusted,
    realm_of,
    status_line,
)
from sbc.trunks.registration import Registration
from sbc.trunks.table import Happening, State

_OF_THE_TARGET: Final = frozenset({408, 430, *range(500, 600)})
"""Failures that say something of one machine, not of our account: another one may do better."""


class Weighed(NamedTuple):
    """A happening and what goes with it."""

    happening: Happening
    cause: str = ""
    least_wait_s: float = 0.0
    """That the registrar asks for (Retry-After)."""
    doubted: bool = False
    """Whether our user name or password was refused."""


def weigh(registration: Registration, response: Response, cnonce: str) -> Weighed:
    """What a final response means; what it grants or what must follow it is noted.

    Args:
        cnonce: Fresh random text, for credentials.
    """
    status = response.status
    if status < 300:
        return _accepted(registration, response)
    if status in (401, 407):
        return _challenged(registration, response, cnonce)
    if status == 423:
        return _too_brief(registration, response, cnonce)
    cause = f"{status_line(response)} from {place_of(registration)}"
    wait_s = retry_after_of(response)
    if status in _OF_THE_TARGET:
        return Weighed(_failed(registration), cause, wait_s)
    # After credentials a 403 is how many registrars say that the password is wrong.
    doubted = status == 403 and _proved(registration)
    return Weighed(Happening.REFUSED, cause, wait_s, doubted)


def weigh_silence(registration: Registration, why: str) -> Weighed:
    """What it means that a REGISTER got no answer: ``"timeout"`` or ``"transport"``."""
    place = place_of(registration)
    said = f"no answer from {place}" if why == "timeout" else f"{place} cannot be reached"
    return Weighed(_failed(registration), said)


def place_of(registration: Registration) -> str:
    """The address that is being tried, for people."""
    return host_port(*registration.flow.remote) if registration.flow is not None else "nowhere"


def _failed(registration: Registration) -> Happening:
    """Whether a failure of this target leaves another one to try."""
    asking = registration.state in (State.REGISTERING, State.REFRESHING)
    others = registration.left and registration.ways
    return Happening.ELSEWHERE if asking and others else Happening.REFUSED


def _accepted(registration: Registration, response: Response) -> Weighed:
    if registration.withdrawing:
        return Weighed(Happening.WITHDRAWN)
    contact = registration.line.registering.contact
    try:
        grant = read_grant_untrusted(response, contact, registration.ask_s)
    except ParseError as error:
        cause = f"the answer of {place_of(registration)} cannot be read: {error.reason}"
        return Weighed(Happening.REFUSED, cause)
    if grant is None:
        cause = (
            f"{place_of(registration)} said {status_line(response)} but keeps no contact of ours"
        )
        return Weighed(Happening.REFUSED, cause)
    registration.grant = grant
    return Weighed(Happening.GRANTED)


def _challenged(registration: Registration, response: Response, cnonce: str) -> Weighed:
    login, sent = registration.login, registration.sent
    said = f"{status_line(response)} from {place_of(registration)}, realm {realm_of(response)!r}"
    if login is None or sent is None:
        return Weighed(
            Happening.REFUSED,
            f"{said}: it wants credentials, and there are none (key `authentication`)",
            doubted=True,
        )
    following = Request(sent.method, sent.uri_text, sent.headers.copy())
    if login.answer(following, response, cnonce, registration.challenged):
        registration.following = following
        registration.challenged += 1
        return Weighed(Happening.AGAIN)
    return Weighed(Happening.REFUSED, f"{said}: {_why_refused(login, response)}", doubted=True)


def _why_refused(login: Login, response: Response) -> str:
    """Why a challenge is not answered, or not again."""
    challenges = [
        challenge
        for name in ("www-authenticate", "proxy-authenticate")
        for challenge in parse_challenges_untrusted(response.headers.all(name))
        if challenge.can_be_met
    ]
    if not challenges:
        return "it asks for no kind of Digest that we know (MD5, SHA-256, SHA-512-256)"
    if login.realm not in (None, *(challenge.realm for challenge in challenges)):
        return f"only realm {login.realm!r} is answered (key `authentication: realm`)"
    return f"it refuses the user name {login.username!r} or its password"


def _proved(registration: Registration) -> bool:
    """Whether the REGISTER carried credentials."""
    headers = registration.sent.headers if registration.sent is not None else Headers()
    return headers.has("authorization") or headers.has("proxy-authorization")


def _too_brief(registration: Registration, response: Response, cnonce: str) -> Weighed:
    """423: ask for what the registrar insists on, once (RFC 3261 §10.2.8)."""
    wanted, sent = min_expires(response), registration.sent
    final = registration.prolonged or registration.withdrawing
    if wanted is None or wanted <= registration.ask_s or final or sent is None:
        place = place_of(registration)
        cause = f"{status_line(response)} from {place}, which names no longer time that is possible"
        return Weighed(Happening.REFUSED, cause)
    registration.ask_s, registration.prolonged = wanted, True
    following = Request(sent.method, sent.uri_text, sent.headers.copy())
    headers = following.headers
    contact = headers.first("contact") or ""
    headers.set("Contact", f"{contact.rpartition(';')[0]};expires={wanted}")
    headers.set("Expires", str(wanted))
    if registration.login is not None:
        registration.login.again(following, cnonce)
    registration.following = following
    return Weighed(Happening.AGAIN)
