"""Who is it really: challenges of ours, and the credentials that meet them.

A nonce carries when it was made and a MAC over that, whom it was made for and in which realm. So
nothing is kept for those who are challenged, however many they are; only nonces that met a
challenge are remembered until they are too old, with the highest count, and a count that does not
rise is no longer fresh. Where so many were used that the oldest must be forgotten, every nonce as
old as that one is taken for too old, so that none can be used again.

An unknown user costs the same work and gets the same answer as a wrong password.

Spec: RFC 3261 §22, RFC 7616 §3.3 and §5, RFC 8760 §2.3.
"""

from collections import OrderedDict
from hashlib import blake2s
from hmac import compare_digest
from typing import Final
from urllib.parse import unquote

from sbc.policy.refusal import Refusal
from sbc.policy.topology import ANONYMOUS_HOST
from sbc.routing.accounts import Realm, User
from sbc.sip.digest import (
    Challenge,
    Credentials,
    known_algorithm,
    parse_credentials_untrusted,
)
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.uri import Uri, parse_uri_untrusted

UNCHALLENGED: Final = frozenset({"OPTIONS"})
"""Requests that begin something are challenged; this one only asks whether we are there."""

MOST_NONCES: Final = 100_000
"""That are remembered: some minutes of registrations at hundreds a second."""

_ISSUED_DIGITS = 12
_SERIAL_DIGITS = 8
_MAC_BYTES = 12
_NONCE_DIGITS = _ISSUED_DIGITS + _SERIAL_DIGITS + 2 * _MAC_BYTES

_NOBODY = {"SHA-512-256": "0" * 64, "SHA-256": "0" * 64, "MD5": "0" * 32}
"""In place of the hash of a user that does not exist, so that the work is the same."""


_NOBODYS: Final = frozenset({"", "anonymous"})
"""Users of callers that want to stay unknown."""


class Authenticator:
    """Makes challenges and judges what comes back. One for the process."""

    __slots__ = ("_forgotten_ms", "_most", "_secret", "_serial", "_used")

    def __init__(self, secret: bytes, most: int = MOST_NONCES) -> None:
        """Nobody was challenged yet.

        Args:
            secret: 32 bytes that nobody can guess; a new one makes all nonces stale.
            most: nonces that are remembered.
        """
        self._secret = secret
        self._most = most
        self._serial = 0
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """When each nonce that met a challenge goes, and the highest count it came with."""
        self._forgotten_ms = -1
        """Nonces made until then may have been used and forgotten."""

    def __len__(self) -> int:
        return len(self._used)

    def judge(self, request: Request, flow: Flow, realm: Realm, now: float) -> User | Refusal:
        """Who proved to have sent a request, or what it is answered instead: 401 or 403.

        A refusal with an explanation is of credentials that are wrong; one without is only a
        challenge.

        Raises:
            ParseError: From or To is malformed (400).
        """
        credentials = credentials_for(request, realm.name)
        if credentials is None:
            return self._challenge(flow, realm, now)
        user = realm.users.get(credentials.username)
        fault = _fault(credentials, request, realm, user)
        fresh = self.is_fresh(credentials, flow, realm, now)
        if user is None or fault:
            why = f"{credentials.username!r} did not log in to realm {realm.name!r}: {fault}"
            return self._challenge(flow, realm, now, why=why)
        if not fresh:
            return self._challenge(flow, realm, now, stale=True)
        self.note_use(credentials, realm, now)
        claimed = _claimed(request)
        if claimed is not None and not user.may_be(claimed):
            why = f"user {user.name!r} may not call itself {claimed!r}"
            return Refusal(403, "these credentials are of somebody else", why)
        return user

    def _challenge(
        self, flow: Flow, realm: Realm, now: float, *, stale: bool = False, why: str = ""
    ) -> Refusal:
        nonce = self._new_nonce(flow, realm, now)
        headers = tuple(
            (
                "WWW-Authenticate",
                str(Challenge(realm.name, nonce, algorithm, realm.qop, stale=stale)),
            )
            for algorithm in realm.algorithms
        )
        return Refusal(401, "", why, headers=headers)

    def _new_nonce(self, flow: Flow, realm: Realm, now: float) -> str:
        self._serial = (self._serial + 1) % 16**_SERIAL_DIGITS
        issued = f"{int(now * 1000):0{_ISSUED_DIGITS}x}{self._serial:0{_SERIAL_DIGITS}x}"
        return issued + self._mac(issued, flow, realm)

    def _mac(self, issued: str, flow: Flow, realm: Realm) -> str:
        """What nobody else can say of a nonce.

        A phone behind a NAT may change its port, so its address is enough; a connection it keeps.
        """
        parts = (issued, flow.network, flow.remote[0], str(flow.connection), realm.name)
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return blake2s(text, digest_size=_MAC_BYTES, key=self._secret).hexdigest()

    def is_fresh(self, credentials: Credentials, flow: Flow, realm: Realm, now: float) -> bool:
        """Whether a nonce is ours, for this source, not too old, and its count a new one."""
        nonce = credentials.nonce
        issued, mac = nonce[: _ISSUED_DIGITS + _SERIAL_DIGITS], nonce[-2 * _MAC_BYTES :]
        made = self._mac(issued, flow, realm).encode()
        if len(nonce) != _NONCE_DIGITS or not compare_digest(
            made, mac.encode("utf-8", "surrogateescape")
        ):
            return False
        issued_ms = int(issued[:_ISSUED_DIGITS], 16)
        if issued_ms <= self._forgotten_ms or now * 1000 - issued_ms > realm.nonce_s * 1000:
            return False
        _, count = self._used.get(nonce, (0, 0))
        return _count(credentials) > count

    def note_use(self, credentials: Credentials, realm: Realm, now: float) -> None:
        """Remember how often a nonce was used."""
        nonce = credentials.nonce
        goes_ms = int(nonce[:_ISSUED_DIGITS], 16) + int(realm.nonce_s * 1000)
        self._used[nonce] = (goes_ms, _count(credentials))
        # In the order of their first use, which is about that of their making.
        while (first := next(iter(self._used))) != nonce and self._used[first][0] < now * 1000:
            del self._used[first]
        if len(self._used) > self._most:
            forgotten, _ = self._used.popitem(last=False)
            issued_ms = int(forgotten[:_ISSUED_DIGITS], 16)
            self._forgotten_ms = max(self._forgotten_ms, issued_ms)


def credentials_for(request: Request, realm: str) -> Credentials | None:
    """The first readable credentials of a request for a realm, if there are any."""
    for value in request.headers.all("authorization"):
        try:
            credentials = parse_credentials_untrusted(value)
        except ParseError:
            continue
        if credentials.realm == realm:
            return credentials
    return None


def remove_credentials(request: Request, realm: str) -> None:
    """Take the credentials for a realm of ours out of a request: they are nobody else's."""
    values = request.headers.all("authorization")
    if not values:
        return
    request.headers.remove("authorization")
    for value in values:
        try:
            ours = parse_credentials_untrusted(value).realm == realm
        except ParseError:
            ours = False
        if not ours:
            request.headers.append("Authorization", value)


def _fault(credentials: Credentials, request: Request, realm: Realm, user: User | None) -> str:
    """What is wrong with credentials, for the operator; empty when they prove the user."""
    algorithm = known_algorithm(credentials.algorithm)
    if algorithm is None or algorithm not in realm.algorithms:
        return f"{credentials.algorithm!r} was not offered"
    if (credentials.qop or "auth") not in realm.qop:
        return f"qop {credentials.qop or 'auth'!r} was not offered"
    if not _is_target(credentials.uri, request):
        return f"its credentials are for {credentials.uri!r}, not for the Request-URI"
    hashes = _NOBODY if user is None else user.hashes
    proved = credentials.proves(hashes[algorithm], request.method, request.body)
    if user is None:
        return "there is no such user"
    return "" if proved else "the password is wrong"


def _is_target(text: str, request: Request) -> bool:
    """Whether the URI in credentials means what the Request-URI means.

    Some agents leave out parameters and ports, others the user; what is there must agree, or
    credentials that were overheard could take a call elsewhere (RFC 7616 §3.4.6, RFC 8760 §2.6).
    """
    if text == request.uri_text:
        return True
    try:
        proved, asked = parse_uri_untrusted(text), request.uri
    except ParseError:
        return False
    return proved.host == asked.host and _user_of(proved) in ("", _user_of(asked))


def _claimed(request: Request) -> str | None:
    """Whom a request says it is from; None when it prefers not to (RFC 3323 §4.1.1.3).

    A host that says nothing is no excuse for a user that says something: who is called may see it.
    """
    if request.method == "REGISTER":
        return _user_of(request.to.uri)
    uri = request.from_.uri
    user = _user_of(uri)
    return None if uri.host == ANONYMOUS_HOST and user in _NOBODYS else user


def _user_of(uri: Uri) -> str:
    return unquote(uri.user or "")


def _count(credentials: Credentials) -> int:
    """How often a nonce was used; without qop it is good for once."""
    return credentials.count if credentials.qop else 1
