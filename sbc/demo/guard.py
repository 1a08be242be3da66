"""Asks who somebody is before the PBX does anything for them.

Spec: RFC 3261 §22, RFC 7616 §3.3 and §5.5, RFC 8760.
"""

import secrets
from collections import OrderedDict

from sbc.sip.digest import Challenge, Credentials, ha1_of, parse_credentials_untrusted
from sbc.sip.errors import ParseError
from sbc.sip.message import Request

_GOOD_S = 300.0
_MOST = 1000
_HEADERS = {
    401: ("authorization", "WWW-Authenticate"),
    407: ("proxy-authorization", "Proxy-Authenticate"),
}


class Guard:
    """Knows the passwords, and the nonces that it gave out."""

    def __init__(self, realm: str, passwords: dict[str, str], *, sha256: bool = False) -> None:
        """Nobody is known yet.

        Args:
            passwords: by user.
            sha256: whether to offer SHA-256 before MD5. There are softphones that, offered
                both, give up instead of taking MD5.
        """
        self.realm, self.passwords = realm, passwords
        self._algorithms = ("SHA-256", "MD5") if sha256 else ("MD5",)
        self._nonces: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """When each was given out, and the highest count it came back with."""

    def user_of(self, request: Request, status: int, now: float) -> str | None:
        """Who proved to have sent a request; None when nobody did, who then is to be challenged.

        Args:
            status: 401 or 407, whichever the request is challenged with.
        """
        credentials = self._credentials_untrusted(request, status)
        if credentials is None or self._is_stale(credentials, now):
            return None
        password = self.passwords.get(credentials.username)
        if password is None or credentials.algorithm.upper() not in self._algorithms:
            return None
        ha1 = ha1_of(credentials.algorithm.upper(), credentials.username, self.realm, password)
        if not credentials.proves(ha1, request.method, request.body):
            return None
        given_at, used = self._nonces[credentials.nonce]
        if credentials.count and credentials.count <= used:
            return None
        self._nonces[credentials.nonce] = (given_at, credentials.count)
        return credentials.username

    def challenge(self, request: Request, status: int, now: float) -> tuple[tuple[str, str], ...]:
        """The headers of a 401 or 407 to a request."""
        credentials = self._credentials_untrusted(request, status)
        stale = credentials is not None and self._is_stale(credentials, now)
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = (now, 0)
        while len(self._nonces) > _MOST:
            self._nonces.popitem(last=False)
        _, asks = _HEADERS[status]
        return tuple(
            (asks, str(Challenge(self.realm, nonce, algorithm=algorithm, stale=stale)))
            for algorithm in self._algorithms
        )

    def _credentials_untrusted(self, request: Request, status: int) -> Credentials | None:
        answers, _ = _HEADERS[status]
        for value in request.headers.all(answers):
            try:
                credentials = parse_credentials_untrusted(value)
            except ParseError:
                continue
            if credentials.realm == self.realm:
                return credentials
        return None

    def _is_stale(self, credentials: Credentials, now: float) -> bool:
        given = self._nonces.get(credentials.nonce)
        return given is None or now - given[0] > _GOOD_S
