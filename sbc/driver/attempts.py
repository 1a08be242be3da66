"""What strangers asked for and have no final answer to yet."""

from collections import OrderedDict
from typing import Final, NamedTuple
from urllib.parse import unquote

from sbc.driver.nonces import Nonces
from sbc.policy.offences import Proof, proof_of
from sbc.sip.digest import Credentials, parse_credentials_untrusted
from sbc.sip.errors import ParseError
from sbc.sip.flow import Flow
from sbc.sip.message import Request
from sbc.sip.transaction.events import TransactionKey

MOST: Final = 16_384
MOST_NAME: Final = 64
"""Characters of a user or number that are told apart."""
MOST_REALM: Final = 128


class Attempt(NamedTuple):
    """A request outside of dialogs."""

    flow: Flow
    """It came by, whatever way its answer takes."""
    method: str
    call_id: str
    called: str
    """The user that a REGISTER is for, or the number that anything else is for."""
    caller: str
    """The users of its credentials, mostly one, or else of From."""
    realm: str
    """Of its first credentials; empty when there are none."""
    proof: Proof


def attempt_of(request: Request, flow: Flow, nonces: Nonces) -> Attempt:
    """What a request tries. Nothing in it may be believed."""
    credentials = _credentials(request)
    # All of them count: what is judged may be any, and one alone may be there to hide it.
    answered = any(nonces.prove(one.nonce, flow.remote[0]) for one in credentials)
    users = ",".join(dict.fromkeys(one.username for one in credentials))
    return Attempt(
        flow,
        request.method,
        (request.headers.first("call-id") or "")[:128],
        _user(request, called=True),
        _told_apart(users) if credentials else _user(request, called=False),
        credentials[0].realm[:MOST_REALM] if credentials else "",
        proof_of(flow.reliable, answered),
    )


def _credentials(request: Request) -> list[Credentials]:
    headers = request.headers
    found: list[Credentials] = []
    for value in (*headers.all("authorization"), *headers.all("proxy-authorization")):
        try:
            found.append(parse_credentials_untrusted(value))
        except ParseError:
            continue
    return found


def _user(request: Request, *, called: bool) -> str:
    try:
        if not called:
            uri = request.from_.uri
        else:
            uri = request.to.uri if request.method == "REGISTER" else request.uri
    except ParseError:
        return ""
    return unquote(uri.user or "")[:MOST_NAME]


def _told_apart(users: str) -> str:
    """Names as they are kept; those that are too long still differ where their ends do."""
    return users if len(users) <= MOST_NAME else f"{users[:MOST_NAME]}... {hash(users):x}"


class Attempts:
    """Those that wait, by their transactions; bounded, the oldest is forgotten."""

    __slots__ = ("_most", "_waiting")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: OrderedDict[TransactionKey, Attempt] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: TransactionKey, attempt: Attempt) -> None:
        """One came; what it repeats stays."""
        self._waiting.setdefault(key, attempt)
        if len(self._waiting) > self._most:
            self._waiting.popitem(last=False)

    def take(self, key: TransactionKey) -> Attempt | None:
        """One is answered."""
        return self._waiting.pop(key, None)
