"""What one end of an audio call says in SDP, and what two ends agree on.

Spec: RFC 3264, RFC 4568 (keys), RFC 3551 (G.711 payload types).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

from sbc.demo.audio import AudioTerms
from sbc.demo.g711 import CODECS, PCMA, PCMU, SAMPLE_RATE_HZ, Codec
from sbc.demo.srtp import KEY_BYTES, SdesKey
from sbc.sdp.attributes.crypto import CryptoAttribute, MasterKey, valid_crypto_untrusted
from sbc.sdp.attributes.direction import Direction, answer_direction
from sbc.sdp.connection import Connection
from sbc.sdp.description import MediaDescription, Origin, SessionDescription
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp
from sbc.sip.flow import Address

_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
_NOWHERE: Address = ("", 0)
"""No packet comes from here, and none is sent here while the other side wants none."""
TELEPHONE_EVENT = "101"


@dataclass(frozen=True, slots=True)
class Agreement:
    """An answer given or received."""

    terms: AudioTerms
    body: bytes
    """The answer."""


class AudioFace:
    """One end of an audio call as its SDP shows it.

    It answers SRTP with SRTP and RTP with RTP; `secure` says which of them it offers.
    """

    def __init__(
        self,
        host: str,
        port: int,
        entropy: Random,
        *,
        codecs: Sequence[Codec] = (PCMU, PCMA),
        secure: bool = False,
        suites: Sequence[str] = tuple(KEY_BYTES),
    ) -> None:
        self.host, self.port = host, port
        self.codecs, self.secure = codecs, secure
        self.direction = Direction.SENDRECV
        """What this end wants: SENDONLY puts the other on hold."""
        self._suites = suites
        self._keys = {
            suite: SdesKey(suite, entropy.randbytes(KEY_BYTES[suite])) for suite in suites
        }
        self._number = str(entropy.getrandbits(40))
        self._version = 0
        self._last: SessionDescription | None = None

    def offer(self) -> bytes:
        """An offer of audio as `direction` now stands."""
        cryptos = [self._crypto(tag, suite) for tag, suite in enumerate(self._suites, start=1)]
        media = self._audio(
            [*(str(codec.payload_type) for codec in self.codecs), TELEPHONE_EVENT],
            protocol="RTP/SAVP" if self.secure else "RTP/AVP",
            direction=self.direction,
            cryptos=cryptos if self.secure else [],
        )
        return self._say([media])

    def answer(self, offer: bytes) -> Agreement:
        """Answer an offer: its first usable audio, nothing else.

        Raises:
            SdpError: 488; the offer is no SDP, or has no audio that this end can speak.
        """
        theirs = parse_sdp_untrusted(offer)
        answered: list[MediaDescription] = []
        terms: AudioTerms | None = None
        for media in theirs.media:
            found = None if terms else self._terms(theirs, media)
            if found is None:
                answered.append(_rejected(media))
                continue
            terms, crypto = found
            direction = answer_direction(media.direction(theirs), self.direction)
            formats = [str(terms.codec.payload_type)]
            formats += [TELEPHONE_EVENT] if _has_telephone_event(media) else []
            answered.append(
                self._audio(
                    formats,
                    protocol=media.protocol,
                    direction=direction,
                    cryptos=[crypto] if crypto else [],
                )
            )
        if terms is None:
            raise SdpError("no audio in G.711 is offered")
        return Agreement(terms, self._say(answered))

    def accept(self, answer: bytes) -> AudioTerms:
        """Take the answer to our last offer.

        Raises:
            SdpError: the answer is no SDP, or does not fit what we offered.
        """
        theirs = parse_sdp_untrusted(answer)
        found = self._terms(theirs, theirs.media[0]) if theirs.media else None
        if found is None:
            raise SdpError("the answer does not fit the offer")
        terms, crypto = found
        if (crypto is not None) != self.secure:
            raise SdpError("the answer changes between RTP and SRTP")
        return terms

    def _terms(
        self, theirs: SessionDescription, media: MediaDescription
    ) -> tuple[AudioTerms, CryptoAttribute | None] | None:
        """What holds between a stream of theirs and us, and the crypto line it names."""
        codec = self._codec(media)
        if media.kind != "audio" or media.rejected or codec is None:
            return None
        ours: CryptoAttribute | None = None
        receive_key = send_key = None
        if media.protocol.upper() in _SECURE:
            chosen = self._choose(media)
            if chosen is None:
                return None
            ours, receive_key = chosen
            send_key = self._keys[receive_key.suite]
        elif media.protocol.upper() not in _PLAIN:
            return None
        said = theirs.effective_direction(media)
        terms = AudioTerms(
            remote=_numeric(theirs.rtp_endpoint(media)),
            remote_rtcp=_numeric(theirs.rtcp_endpoint(media)),
            codec=codec,
            sending=said.receives and self.direction.sends,
            receiving=said.sends and self.direction.receives,
            send_key=send_key,
            receive_key=receive_key,
        )
        return terms, ours

    def _codec(self, media: MediaDescription) -> Codec | None:
        for payload_type in media.formats:
            codec = CODECS.get(int(payload_type)) if payload_type.isdigit() else None
            if codec is not None and codec in self.codecs:
                return codec
        return None

    def _choose(self, media: MediaDescription) -> tuple[CryptoAttribute, SdesKey] | None:
        """Our crypto line under the tag of their first usable one, and their key."""
        for crypto in valid_crypto_untrusted(media.attributes):
            if crypto.is_plain and not crypto.has_mki and crypto.suite in self._keys:
                key = SdesKey(crypto.suite, crypto.keys[0].key_and_salt)
                return self._crypto(crypto.tag, crypto.suite), key
        return None

    def _crypto(self, tag: int, suite: str) -> CryptoAttribute:
        return CryptoAttribute(tag, suite, (MasterKey(self._keys[suite].key_and_salt),))

    def _audio(
        self,
        formats: list[str],
        *,
        protocol: str,
        direction: Direction,
        cryptos: list[CryptoAttribute],
    ) -> MediaDescription:
        media = MediaDescription("audio", self.port, protocol, formats)
        for payload_type in formats:
            codec = CODECS.get(int(payload_type))
            name = codec.name if codec else "telephone-event"
            media.attributes.append(("rtpmap", f"{payload_type} {name}/{SAMPLE_RATE_HZ}"))
            if codec is None:
                media.attributes.append(("fmtp", f"{payload_type} 0-15"))
        media.attributes += [("crypto", str(crypto)) for crypto in cryptos]
        media.attributes += [("ptime", "20"), (direction.value, None)]
        return media

    def _say(self, media: list[MediaDescription]) -> bytes:
        family = "IP6" if ":" in self.host else "IP4"
        said = SessionDescription(
            Origin("-", self._number, str(self._version), self.host, family),
            name="demo",
            connection=Connection(self.host, family),
            media=media,
        )
        if self._last is not None and not said.equals_apart_from_origin(self._last):
            # The version tells a changed description from a repeated one (RFC 3264 §8).
            self._version += 1
            said.origin = said.origin._replace(version=str(self._version))
        self._last = said
        return serialize_sdp(said)


def _rejected(media: MediaDescription) -> MediaDescription:
    return MediaDescription(media.kind, 0, media.protocol, list(media.formats))


def _has_telephone_event(media: MediaDescription) -> bool:
    codec = media.codec(TELEPHONE_EVENT) if TELEPHONE_EVENT in media.formats else None
    return codec is not None and codec.name == "TELEPHONE-EVENT"


def _numeric(endpoint: Address | None) -> Address:
    """An endpoint as a socket reports it; names are never looked up here.

    Raises:
        SdpError: 488; a host name instead of an address.
    """
    if endpoint is None:
        return _NOWHERE
    try:
        return ip_address(endpoint[0]).compressed, endpoint[1]
    except ValueError:
        raise SdpError(f"{endpoint[0]} is no numeric address") from None
