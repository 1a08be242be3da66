"""Which nonces were sent to whom: whoever answers one has received what we sent to its address.

Ours and those of registrars behind us alike. Bounded: what is forgotten proves nothing.

Spec: RFC 7616 §3.3.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from sbc.sip.digest import parse_challenges_untrusted
from sbc.sip.headers import Headers

MOST: Final = 32_768
MOST_LENGTH: Final = 512
_SEVERAL = ""


def challenges_in(headers: Headers) -> tuple[list[str], bool]:
    """The nonces that a response gives, and whether it says that only the one before was stale."""
    values = [*headers.all("www-authenticate"), *headers.all("proxy-authenticate")]
    challenges = parse_challenges_untrusted(values)
    return [one.nonce for one in challenges], any(one.stale for one in challenges)


class Nonces:
    """Nonces by the host that was sent them."""

    __slots__ = ("_hosts", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._hosts: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hosts)

    def sent(self, nonces: Iterable[str], host: str) -> None:
        """Some were sent to a host. What two hosts were sent proves neither."""
        for nonce in nonces:
            if len(nonce) > MOST_LENGTH:
                continue
            known = self._hosts.setdefault(nonce, host)
            if known != host:
                self._hosts[nonce] = _SEVERAL
            elif len(self._hosts) > self._most:
                self._hosts.popitem(last=False)

    def prove(self, nonce: str, host: str) -> bool:
        """Whether only this host was sent a nonce."""
        return self._hosts.get(nonce) == host
