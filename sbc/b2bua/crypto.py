"""SRTP keys of a leg, exchanged in its descriptions (SDES).

Each leg has keys of its own; none ever crosses to the other. What is agreed stays over re-offers,
so that media goes on unbroken.

Spec: RFC 4568 §5.1 and §7.1.
"""

from media.types import SrtpKeys, SrtpSuite
from sbc.b2bua.context import IdSource
from sbc.b2bua.leg import Leg
from sbc.policy.description import usable_cryptos
from sbc.sdp.attributes.crypto import CryptoAttribute, MasterKey, valid_crypto_untrusted
from sbc.sdp.description import MediaDescription

Pair = tuple[CryptoAttribute, CryptoAttribute]
"""Our line and the leg's that belong together."""


def to_offer(ids: IdSource, leg: Leg, index: int) -> list[CryptoAttribute]:
    """Our crypto lines for an offer: the agreed one, or a fresh one for each suite we serve."""
    pair = agreed(leg, index)
    if pair is not None:
        return [pair[0]]
    return [_fresh(ids, tag, SrtpSuite(name)) for tag, name in enumerate(leg.rules.suites, 1)]


def to_answer(ids: IdSource, leg: Leg, index: int, asked: MediaDescription) -> CryptoAttribute:
    """Our crypto line for an answer: the agreed suite while it is offered, else the first served.

    Spec: RFC 4568 §5.1.2.
    """
    usable = usable_cryptos(asked, leg.rules)
    assert usable, "relayable() has looked for one"
    pair = agreed(leg, index)
    if pair is not None:
        for offered in usable:
            if offered.suite == pair[0].suite:
                return CryptoAttribute(offered.tag, offered.suite, pair[0].keys)
    chosen = usable[0]
    local = leg.negotiation.local
    if local is not None and index < len(local.media):
        # The preview of this answer went out with a key already.
        for ours in valid_crypto_untrusted(local.media[index].attributes):
            if ours.suite == chosen.suite:
                return CryptoAttribute(chosen.tag, ours.suite, ours.keys)
    return _fresh(ids, chosen.tag, SrtpSuite(chosen.suite))


def agreed(leg: Leg, index: int) -> Pair | None:
    """What protects an m-line now, previews included; None when nothing does."""
    local, remote = leg.negotiation.local, leg.negotiation.remote
    if local is None or remote is None or index >= len(local.media):
        return None
    if "SAVP" not in remote.media[index].protocol:
        return None
    return pair_of(local.media[index], remote.media[index])


def pair_of(ours: MediaDescription, theirs: MediaDescription) -> Pair | None:
    """The two lines of the same tag and suite (RFC 4568 §5.1.3).

    Whoever answered has one line only, so there is at most one such pair.
    """
    by_tag = {crypto.tag: crypto for crypto in valid_crypto_untrusted(ours.attributes)}
    for line in valid_crypto_untrusted(theirs.attributes):
        mine = by_tag.get(line.tag)
        if mine is not None and mine.suite == line.suite and line.is_plain:
            return mine, line
    return None


def keys_of(crypto: CryptoAttribute) -> SrtpKeys:
    """A line's key as the relay takes it."""
    key = crypto.keys[0]
    suite = SrtpSuite(crypto.suite)
    return SrtpKeys(suite, key.key_and_salt, key.identifier, key.lifetime_packets)


def _fresh(ids: IdSource, tag: int, suite: SrtpSuite) -> CryptoAttribute:
    return CryptoAttribute(tag, suite.value, (MasterKey(ids.key(suite.key_length)),))
