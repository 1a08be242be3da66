"""Digest access authentication: challenges, credentials, and the client that answers.

What a server checks beyond the arithmetic (is the nonce ours, is it fresh, who may use it) is not
here. The -sess variants and hashed user names are neither asked for nor answered: no SIP server is
known to need them, and RFC 8760 requires none.

Spec: RFC 7616, RFC 8760 (SHA-256 and SHA-512/256 in SIP), RFC 3261 §22.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from sbc.sip.errors import ParseError
from sbc.sip.grammar import is_token, quote, split_commas, unquote
from sbc.sip.message import Request, Response

ALGORITHMS: Final = ("SHA-512-256", "SHA-256", "MD5")
"""Strongest first."""

_HASHES = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}

_ANSWERS = (
    ("www-authenticate", "Authorization"),
    ("proxy-authenticate", "Proxy-Authorization"),
)
"""Which header answers which (RFC 3261 §22.2, §22.3)."""

_MOST_CHALLENGES = 16
"""That are read of one response: a few realms in a few algorithms each."""

_MOST_REALMS = 4
"""That one login remembers."""

_MOST_ANSWERS = 3
"""To the challenges of one request: a proxy, the server behind it, and a nonce gone stale."""

_LAST_COUNT = 0xFFFFFFFF
_COUNT = re.compile(r"[0-9A-Fa-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a WWW-Authenticate or Proxy-Authenticate value asks for."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    """As written; see `known_algorithm`."""
    qop: frozenset[str] = frozenset({"auth"})
    """The options offered, lower case; none in a challenge as before RFC 2617."""
    opaque: str = ""
    stale: bool = False
    """Whether only the nonce was too old: the password need not be doubted."""
    domain: str = ""
    """URIs for which the credentials are good; empty for all of the server."""

    def __str__(self) -> str:
        text = f"Digest realm={quote(self.realm)}"
        if self.domain:
            text += f", domain={quote(self.domain)}"
        text += f", nonce={quote(self.nonce)}"
        if self.opaque:
            text += f", opaque={quote(self.opaque)}"
        if self.stale:
            text += ", stale=true"
        text += f", algorithm={self.algorithm}"
        return f'{text}, qop="{",".join(sorted(self.qop))}"' if self.qop else text

    @property
    def can_be_met(self) -> bool:
        """Whether we know its algorithm, and one of its options if there are any."""
        if known_algorithm(self.algorithm) is None:
            return False
        return not self.qop or bool(self.qop & {"auth", "auth-int"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization value."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    """Hexadecimal; in any case as received."""
    algorithm: str = "MD5"
    """As written; see `known_algorithm`."""
    qop: str = ""
    """``auth``, ``auth-int``, or empty as before RFC 2617."""
    nc: str = ""
    """The nonce count as written: it is hashed as it stands."""
    cnonce: str = ""
    opaque: str = ""

    def __str__(self) -> str:
        text = (
            f"Digest username={quote(self.username)}, realm={quote(self.realm)}, "
            f"nonce={quote(self.nonce)}, uri={quote(self.uri)}, "
            f"response={quote(self.response)}, algorithm={self.algorithm}"
        )
        if self.qop:
            text += f", cnonce={quote(self.cnonce)}, qop={self.qop}, nc={self.nc}"
        return text + (f", opaque={quote(self.opaque)}" if self.opaque else "")

    @property
    def count(self) -> int:
        """How often the nonce was used, from 1; 0 without qop."""
        return int(self.nc, 16) if self.nc else 0

    def proves(self, ha1: str, method: str, body: bytes) -> bool:
        """Whether whoever made this knew the password; takes the same time for all answers.

        Args:
            ha1: of user, realm and password in the algorithm of these credentials, as `ha1_of`
                gives it.
        """
        algorithm = known_algorithm(self.algorithm)
        if algorithm is None:
            return False
        claimed = self.response.lower().encode("utf-8", "surrogateescape")
        return hmac.compare_digest(_response(self, algorithm, ha1, method, body).encode(), claimed)


def known_algorithm(name: str) -> str | None:
    """The one of `ALGORITHMS` that a name in any case means, if it is one of them."""
    upper = name.upper()
    return upper if upper in _HASHES else None


def ha1_of(algorithm: str, username: str, realm: str, password: str) -> str:
    """What stands for a password in one realm: H(username:realm:password), hexadecimal.

    It is as secret as the password, as far as this realm goes (RFC 7616 §5.9).

    Args:
        algorithm: one of `ALGORITHMS`.
    """
    return _hash(algorithm, f"{username}:{realm}:{password}")


def parse_challenges_untrusted(values: Iterable[str]) -> list[Challenge]:
    """Read the values of WWW-Authenticate or Proxy-Authenticate headers.

    What cannot be read, or is not Digest, is left out: a client ignores challenges that it does
    not understand (RFC 8760 §2.4).
    """
    challenges = []
    for value, _ in zip(values, range(_MOST_CHALLENGES), strict=False):
        with suppress(ParseError):
            challenges.append(parse_challenge_untrusted(value))
    return challenges


def parse_challenge_untrusted(value: str) -> Challenge:
    """Read one challenge.

    Raises:
        ParseError: it is not Digest, or lacks realm or nonce.
    """
    parameters = _parameters_untrusted(value, ("realm", "nonce"))
    options = (option.strip().lower() for option in parameters.get("qop", "").split(","))
    return Challenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        algorithm=parameters.get("algorithm", "MD5"),
        qop=frozenset(option for option in options if option),
        opaque=parameters.get("opaque", ""),
        stale=parameters.get("stale", "").lower() == "true",
        domain=parameters.get("domain", ""),
    )


def parse_credentials_untrusted(value: str) -> Credentials:
    """Read credentials.

    Raises:
        ParseError: they are not Digest, or lack a parameter that they need.
    """
    parameters = _parameters_untrusted(value, ("username", "realm", "nonce", "uri", "response"))
    qop, nc = parameters.get("qop", "").lower(), parameters.get("nc", "")
    if bool(qop) != bool(nc):
        raise ParseError("qop and nc go together")
    if qop and qop not in ("auth", "auth-int"):
        raise ParseError(f"the quality of protection {qop!r} is unknown")
    if nc and not _COUNT.fullmatch(nc):
        raise ParseError("the nonce count is not hexadecimal")
    return Credentials(
        username=parameters["username"],
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        uri=parameters["uri"],
        response=parameters["response"],
        algorithm=parameters.get("algorithm", "MD5"),
        qop=qop,
        nc=nc,
        cnonce=parameters.get("cnonce", ""),
        opaque=parameters.get("opaque", ""),
    )


def strongest(challenges: Iterable[Challenge]) -> Challenge | None:
    """The challenge with the strongest algorithm that we can meet; the first of equals.

    The order is ours and not the server's, as RFC 8760 §2.4 lets a client choose: whoever
    reorders challenges on their way shall gain nothing.
    """
    met = [challenge for challenge in challenges if challenge.can_be_met]
    return min(met, key=_weakness, default=None)


def _weakness(challenge: Challenge) -> int:
    return ALGORITHMS.index(challenge.algorithm.upper())


@dataclass(slots=True)
class _Protection:
    """One realm that a login has answered: what to answer next time without being asked."""

    challenge: Challenge
    count: int = 0
    """How often its nonce was used."""


@dataclass(slots=True)
class Login:
    """A user name and password for one server, and what is remembered of its challenges.

    One login is shared by all requests to the server, so that each but the first carries
    credentials at once. It never leaves the process, and no text of it shows the password.
    """

    username: str
    password: str = field(repr=False)
    realm: str | None = None
    """The only realm that is answered; None for whichever asks."""
    _protections: dict[tuple[str, str], _Protection] = field(default_factory=dict, repr=False)
    """By the header that answers, and realm."""

    def answer(self, request: Request, response: Response, cnonce: str, answered: int) -> bool:
        """Put credentials into the next attempt at a request that was challenged.

        Args:
            request: the next attempt as far as it is made, with the headers of the refused one:
                its method, Request-URI and body are what is proved.
            response: the 401 or 407 to the refused one.
            cnonce: fresh random text.
            answered: how many attempts at this request before were answers to challenges.

        Returns:
            False when the challenge cannot be met, or the server has just refused what we would
            say: then the request is as it was, and another attempt would be no better.
        """
        if response.status not in (401, 407) or answered >= _MOST_ANSWERS:
            return False
        asked = {
            (answers, challenge.realm): challenge
            for asks, answers in _ANSWERS
            for challenge in _strongest_by_realm(response.headers.all(asks))
            if self.realm is None or challenge.realm == self.realm
        }
        tried = _nonces_of(request)
        for key, challenge in asked.items():
            before = tried.get(key)
            wrong = before is not None and (answered or before == challenge.nonce)
            if wrong and not challenge.stale:
                self._protections.pop(key, None)
                return False
        for key, challenge in asked.items():
            self._remember(key, challenge)
        if asked:
            self.again(request, cnonce)
        return bool(asked)

    def again(self, request: Request, cnonce: str) -> None:
        """Put credentials into a request for all realms that asked for them before.

        A request that was never challenged is left as it is.

        Args:
            request: complete but for these: method, Request-URI and body are what is proved.
            cnonce: fresh random text.
        """
        if not self._protections:
            return
        for _, answers in _ANSWERS:
            request.headers.remove(answers.lower())
        for (answers, _), protection in self._protections.items():
            protection.count += 1
            credentials = self._credentials(protection, request, cnonce)
            request.headers.append(answers, str(credentials))
        used_up = [key for key, one in self._protections.items() if one.count >= _LAST_COUNT]
        for key in used_up:
            del self._protections[key]

    def _remember(self, key: tuple[str, str], challenge: Challenge) -> None:
        known = self._protections.pop(key, None)
        if known is not None and known.challenge.nonce == challenge.nonce:
            # Requests that were under way together are challenged alike; the count goes on.
            self._protections[key] = known
            return
        while len(self._protections) >= _MOST_REALMS:
            del self._protections[next(iter(self._protections))]
        self._protections[key] = _Protection(challenge)

    def _credentials(self, protection: _Protection, request: Request, cnonce: str) -> Credentials:
        challenge = protection.challenge
        qop = "auth-int" if challenge.qop and "auth" not in challenge.qop else "auth"
        unproven = Credentials(
            username=self.username,
            realm=challenge.realm,
            nonce=challenge.nonce,
            uri=request.uri_text,
            response="",
            algorithm=challenge.algorithm,
            qop=qop if challenge.qop else "",
            nc=f"{protection.count:08x}" if challenge.qop else "",
            cnonce=cnonce if challenge.qop else "",
            opaque=challenge.opaque,
        )
        algorithm = challenge.algorithm.upper()
        ha1 = ha1_of(algorithm, self.username, challenge.realm, self.password)
        proof = _response(unproven, algorithm, ha1, request.method, request.body)
        return replace(unproven, response=proof)


def _strongest_by_realm(values: list[str]) -> list[Challenge]:
    by_realm: dict[str, list[Challenge]] = {}
    for challenge in parse_challenges_untrusted(values):
        by_realm.setdefault(challenge.realm, []).append(challenge)
    best = (strongest(challenges) for challenges in by_realm.values())
    return [challenge for challenge in best if challenge is not None][:_MOST_REALMS]


def _nonces_of(request: Request) -> dict[tuple[str, str], str]:
    """The nonce that a request was sent with, by the header that says it, and realm."""
    found = {}
    for _, answers in _ANSWERS:
        for value in request.headers.all(answers.lower()):
            with suppress(ParseError):
                credentials = parse_credentials_untrusted(value)
                found[(answers, credentials.realm)] = credentials.nonce
    return found


def _response(credentials: Credentials, algorithm: str, ha1: str, method: str, body: bytes) -> str:
    """The request-digest (RFC 7616 §3.4.1)."""
    subject = f"{method}:{credentials.uri}"
    if credentials.qop == "auth-int":
        subject += ":" + hashlib.new(_HASHES[algorithm], body, usedforsecurity=False).hexdigest()
    ha2 = _hash(algorithm, subject)
    if not credentials.qop:
        return _hash(algorithm, f"{ha1}:{credentials.nonce}:{ha2}")
    use = f"{credentials.nonce}:{credentials.nc}:{credentials.cnonce}:{credentials.qop}"
    return _hash(algorithm, f"{ha1}:{use}:{ha2}")


def _hash(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return hashlib.new(_HASHES[algorithm], data, usedforsecurity=False).hexdigest()


def _parameters_untrusted(value: str, needed: tuple[str, ...]) -> dict[str, str]:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise ParseError(f"the authentication scheme {scheme!r} is not Digest")
    parameters: dict[str, str] = {}
    for element in split_commas(rest):
        name, equals, text = (part.strip() for part in element.partition("="))
        if not equals or not is_token(name):
            raise ParseError(f"{element!r} is not a digest parameter")
        if name.lower() in parameters:
            raise ParseError(f"{name} is given twice")
        parameters[name.lower()] = unquote(text)
    for name in needed:
        if name not in parameters:
            raise ParseError(f"{name} is missing")
    return parameters
