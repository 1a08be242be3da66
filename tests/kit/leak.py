"""The leak oracle: does anything sent to one side of the border tell about the other side?

It reads what was captured at the border, learns every address, host name, product name and
identifier that was in use on one side, and looks for each of them, also in disguise, in all
bytes that left towards the other side: signalling, SDP, RTCP, everything. It shares no code
with the product: it reads SIP with regular expressions of its own.

Spec: RFC 5853 §3.1 (topology hiding), RFC 7092 §3.2.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import quote

from tests.kit.wire import Capture, Datagram, Stream

_SHORTEST = 5
"""Shorter words (``-``, ``1``, ``sip``) say nothing about a side and turn up by chance."""
_UNMISTAKABLE = 8
"""Longer words are found inside other words too: an identifier may be built into another."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the border."""

    name: str
    networks: tuple[str, ...]
    """Where its packets come from and go to, seen from the border."""
    addresses: tuple[str, ...] = ()
    """Every numeric address in use there, also those behind a NAT."""
    names: tuple[str, ...] = ()
    """Host names and other words that belong to this side alone."""

    def holds(self, address: str) -> bool:
        """Whether packets from or to `address` are this side's."""
        numeric = ip_address(address)
        return any(numeric in ip_network(network) for network in self.networks)


class Leak(NamedTuple):
    """One thing that one side learned about the other."""

    about: str
    what: str
    secret: str
    form: str
    """``"plain"``, or how it was disguised."""
    excerpt: str


@dataclass(slots=True)
class _Traffic:
    """What crossed the border on one side, by whether it came in or was sent out."""

    received: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)


_MADE_PER_SIDE: tuple[tuple[str, str], ...] = (
    ("Call-ID", r"(?im)^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)"),
    ("tag", r"(?i);tag=([^;>\s]+)"),
    ("branch", r"(?i);branch=(?:z9hG4bK)?([^;,\s]+)"),
    ("host in Via", r"(?i)SIP/2\.0/[A-Z-]+\s+(\[[^\]]+\]|[^:;,\s]+)"),
    ("received address", r"(?i);received=([^;,\s]+)"),
    ("host in a URI", r"(?i)\bsips?:(?:[^@>;\s]*@)?(\[[^\]]+\]|[^:;>\s?,]+)"),
    ("o= session", r"(?m)^o=\S+ (\d+)"),
    ("c= address", r"(?m)^c=IN IP[46] (\S+)"),
    ("SRTP key", r"(?m)^a=crypto:[^\r\n]*inline:([^|\s]+)"),
    ("ICE word", r"(?m)^a=ice-(?:ufrag|pwd):(\S+)"),
)
"""What may appear on one side only, whether its party or the border chose it."""
_TOLD_BY_PARTY: tuple[tuple[str, str], ...] = (
    ("product", r"(?im)^(?:User-Agent|Server)[ \t]*:[ \t]*(.+?)[ \t]*$"),
    ("user in Contact", r"(?im)^(?:Contact|m)[ \t]*:[^\r\n]*?sips?:([^@>;\s]+)@"),
    ("o= user name", r"(?m)^o=(\S+)"),
    ("s= session name", r"(?m)^s=([^\r\n]+)"),
    ("a=tool", r"(?m)^a=tool:([^\r\n]+)"),
    ("cname", r"(?m)^a=ssrc:\d+ cname:([^\r\n]+)"),
    ("fingerprint", r"(?m)^a=fingerprint:\S+ (\S+)"),
)
"""What the border may say the same way on both sides, but may not repeat after a party."""
_READERS_OF_ALL = tuple((what, re.compile(pattern)) for what, pattern in _MADE_PER_SIDE)
_READERS_OF_PARTY = tuple((what, re.compile(pattern)) for what, pattern in _TOLD_BY_PARTY)
_DIGEST_URI = re.compile(rb'(?im)^((?:Proxy-)?Authorization[ \t]*:[^\r\n]*?)\buri="[^"]*"')
"""What a phone says it asked for, inside its proof of a password. In a call that is our Contact on
its side, and since the proof covers it, a border that does not know the password must pass it on.
"""
_AOR_USER = re.compile(r"(?im)^(?:From|To|f|t)[ \t]*:[^\r\n]*?sips?:([^@>;\s]+)@")


def find_leaks(
    capture: Capture, one: Side, other: Side, *, known_to_both: Iterable[str]
) -> list[Leak]:
    """Every leak in either direction, each secret reported once per disguise.

    Args:
        capture: recorded on the border itself, from before the first message.
        known_to_both: words that both sides may know, such as the domain that the phones
            of one side registered with on the other.
    """
    shared = {word.lower() for word in known_to_both}
    ours, theirs = _traffic(capture, one), _traffic(capture, other)
    return [
        *_leaks_about(one, ours, theirs.sent, shared),
        *_leaks_about(other, theirs, ours.sent, shared),
    ]


def _leaks_about(
    side: Side, traffic: _Traffic, sent_elsewhere: list[bytes], shared: set[str]
) -> list[Leak]:
    received, sent = _sip_texts(traffic.received), _sip_texts(traffic.sent)
    elsewhere = b"\n".join(sent_elsewhere).decode("latin-1")
    users = {user for text in [*received, *sent] for user in _AOR_USER.findall(text)}
    found = []
    for secret, what in sorted(_secrets(side, received, sent).items()):
        if len(secret) < _SHORTEST or secret in users or _is_shared(secret, users, shared):
            continue
        for form, pattern in _forms(secret):
            hit = pattern.search(elsewhere)
            if hit:
                found.append(Leak(side.name, what, secret, form, _excerpt(elsewhere, hit.start())))
    return found


def _is_shared(secret: str, users: set[str], shared: set[str]) -> bool:
    """Whether it is a word that both sides may know, or the address of record of a user there."""
    address = re.sub(r"^sips?:|;.*$", "", secret).lower()
    user, _, host = address.rpartition("@")
    return host in shared and (not user or user in {known.lower() for known in users})


def _sip_texts(payloads: list[bytes]) -> list[str]:
    return [payload.decode("latin-1") for payload in payloads if b"SIP/2.0" in payload]


def _secrets(side: Side, received: list[str], sent: list[str]) -> dict[str, str]:
    """Each word that belongs to a side, with what it is."""
    secrets: dict[str, str] = {}
    readings = (
        (_READERS_OF_ALL, [*received, *sent]),
        (_READERS_OF_PARTY, received),
    )
    for readers, texts in readings:
        for what, reader in readers:
            for text in texts:
                for word in reader.findall(text):
                    secrets.setdefault(word.strip("[]"), what)
    secrets.update(dict.fromkeys(side.names, "name"))
    secrets.update(dict.fromkeys(side.addresses, "address"))
    return secrets


def _forms(secret: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """The secret as it is and in the disguises that stateless hiding is tempted to use."""
    if len(secret) < _UNMISTAKABLE or _numeric(secret) is not None:
        yield "plain", _word(secret)
    else:
        yield "plain", re.compile(re.escape(secret), re.IGNORECASE)
    quoted = quote(secret, safe="")
    if quoted != secret:
        yield "percent-escaped", _word(quoted)
    raw = secret.encode("latin-1", "replace")
    yield "hexadecimal", re.compile(raw.hex(), re.IGNORECASE)
    for shift in range(3):
        # The characters that do not depend on what stands before and after the secret.
        encoded = base64.b64encode(b"\0" * shift + raw)
        core = encoded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6].decode()
        if len(core) > _SHORTEST:
            yield f"base64+{shift}", re.compile(re.escape(core))
    numeric = _numeric(secret)
    if numeric is None:
        return
    yield "packed hexadecimal", re.compile(_edges(numeric.packed.hex()), re.IGNORECASE)
    if isinstance(numeric, IPv6Address):
        yield "exploded", _word(numeric.exploded)
    else:
        yield "dashed", _word(secret.replace(".", "-"))


def _numeric(word: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(word)
    except ValueError:
        return None


def _word(word: str) -> re.Pattern[str]:
    """The word where it does not continue, so that 10.0.0.2 is not found in 10.0.0.25."""
    return re.compile(_edges(re.escape(word)), re.IGNORECASE)


def _edges(pattern: str) -> str:
    return rf"(?<![0-9A-Za-z]){pattern}(?![0-9A-Za-z])"


def _excerpt(text: str, at: int) -> str:
    line_start = text.rfind("\n", 0, at) + 1
    line_end = text.find("\n", at)
    return text[max(line_start, at - 80) : min(line_end if line_end >= 0 else at + 80, at + 80)]


def _traffic(capture: Capture, side: Side) -> _Traffic:
    traffic = _Traffic()
    crossing: list[Datagram | Stream] = [*capture.datagrams(), *capture.streams()]
    for item in crossing:
        if not side.holds(item.destination if item.sent else item.source):
            continue
        payload = _DIGEST_URI.sub(rb"\1", item.payload)
        (traffic.sent if item.sent else traffic.received).append(payload)
    return traffic
