"""Digest access authentication, both ends of it.

Spec: RFC 3261 §22, RFC 7616, RFC 8760 (SHA-256 beside MD5). Only ``qop=auth`` and none.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sbc.sip.errors import ParseError
from sbc.sip.grammar import is_token, quote, split_commas, unquote

_ALGORITHMS = {"md5": "md5", "sha-256": "sha256"}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a WWW-Authenticate or Proxy-Authenticate value asks for."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: bool = True
    """Whether ``auth`` is offered as quality of protection."""
    opaque: str = ""
    stale: bool = False
    """Whether only the nonce was too old: the password need not be asked for again."""

    def __str__(self) -> str:
        text = f"Digest realm={quote(self.realm)}, nonce={quote(self.nonce)}"
        text += f", algorithm={self.algorithm}"
        if self.qop:
            text += ', qop="auth"'
        if self.opaque:
            text += f", opaque={quote(self.opaque)}"
        return text + ", stale=true" if self.stale else text


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization value."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    cnonce: str = ""
    nonce_count: int = 0
    """How often this nonce was used, from 1; 0 without qop."""
    opaque: str = ""

    def __str__(self) -> str:
        text = (
            f"Digest username={quote(self.username)}, realm={quote(self.realm)}, "
            f"nonce={quote(self.nonce)}, uri={quote(self.uri)}, "
            f'response="{self.response}", algorithm={self.algorithm}'
        )
        if self.nonce_count:
            text += f", qop=auth, nc={self.nonce_count:08x}, cnonce={quote(self.cnonce)}"
        return text + (f", opaque={quote(self.opaque)}" if self.opaque else "")

    def proves(self, method: str, password: str) -> bool:
        """Whether whoever made this knew the password."""
        if self.algorithm.lower() not in _ALGORITHMS:
            return False
        claimed = self.response.lower().encode("utf-8", "surrogateescape")
        return hmac.compare_digest(_response(self, method, password).encode(), claimed)


def parse_challenge_untrusted(value: str) -> Challenge:
    """Read one challenge.

    Raises:
        ParseError: it is not Digest, or lacks realm or nonce.
    """
    parameters = _parameters_untrusted(value, ("realm", "nonce"))
    offered = [option.strip().lower() for option in parameters.get("qop", "").split(",")]
    return Challenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        algorithm=parameters.get("algorithm", "MD5"),
        qop="auth" in offered,
        opaque=parameters.get("opaque", ""),
        stale=parameters.get("stale", "").lower() == "true",
    )


def parse_credentials_untrusted(value: str) -> Credentials:
    """Read credentials.

    Raises:
        ParseError: they are not Digest, or lack a parameter that they need.
    """
    parameters = _parameters_untrusted(value, ("username", "realm", "nonce", "uri", "response"))
    count = parameters.get("nc", "0")
    if not re.fullmatch(r"[0-9A-Fa-f]{1,8}", count):
        raise ParseError("the nonce count is not hexadecimal")
    if ("qop" in parameters) != ("nc" in parameters):
        raise ParseError("qop and nc go together")
    return Credentials(
        username=parameters["username"],
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        uri=parameters["uri"],
        response=parameters["response"],
        algorithm=parameters.get("algorithm", "MD5"),
        cnonce=parameters.get("cnonce", ""),
        nonce_count=int(count, 16),
        opaque=parameters.get("opaque", ""),
    )


def choose(values: Iterable[str]) -> Challenge | None:
    """The first challenge we can meet: they come in the server's order of preference.

    Spec: RFC 8760 §2.4.
    """
    for value in values:
        try:
            challenge = parse_challenge_untrusted(value)
        except ParseError:
            continue
        if challenge.algorithm.lower() in _ALGORITHMS:
            return challenge
    return None


def answer(
    challenge: Challenge,
    username: str,
    password: str,
    *,
    method: str,
    uri: str,
    cnonce: str,
    nonce_count: int,
) -> Credentials:
    """The credentials that meet a challenge.

    Args:
        challenge: one that `choose` returned.
        cnonce: fresh random text.
        nonce_count: how often its nonce is used with this, from 1.
    """
    unproven = Credentials(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=uri,
        response="",
        algorithm=challenge.algorithm,
        cnonce=cnonce if challenge.qop else "",
        nonce_count=nonce_count if challenge.qop else 0,
        opaque=challenge.opaque,
    )
    return replace(unproven, response=_response(unproven, method, password))


def _response(credentials: Credentials, method: str, password: str) -> str:
    """The request-digest (RFC 7616 §3.4.1)."""
    algorithm = _ALGORITHMS[credentials.algorithm.lower()]

    def digest(text: str) -> str:
        return hashlib.new(
            algorithm, text.encode("utf-8", "surrogateescape"), usedforsecurity=False
        ).hexdigest()

    secret = digest(f"{credentials.username}:{credentials.realm}:{password}")
    subject = digest(f"{method}:{credentials.uri}")
    if not credentials.nonce_count:
        return digest(f"{secret}:{credentials.nonce}:{subject}")
    count = f"{credentials.nonce_count:08x}"
    return digest(f"{secret}:{credentials.nonce}:{count}:{credentials.cnonce}:auth:{subject}")


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
