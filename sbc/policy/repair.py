"""Protocol repair: messages of peers that are known to be wrong, put right as they come and leave.

Spec: RFC 5853 §3.6.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from sbc.routing.repair import Quirk
from sbc.sdp.attributes.rtpmap import STATIC_CODECS
from sbc.sdp.description import MediaDescription, SessionDescription
from sbc.sdp.errors import SdpError
from sbc.sdp.parser import parse_sdp_untrusted, serialize_sdp
from sbc.sip.errors import ParseError
from sbc.sip.message import Message, Response
from sbc.sip.reasons import reason_of

_SDP_TYPE: Final = "application/sdp"
_EVENTS = re.compile(r" *0-1[0-9](?:[,-].*)?")
"""What fmtp says of telephone events (RFC 4733 §2.4.1)."""
_TIMERS: Final = ("session-expires", "min-se")
_OPTIONS: Final = (("Supported", "supported"), ("Require", "require"))
_RINGING: Final = frozenset({180, 181, 182})


def repair_received(message: Message, quirks: Collection[Quirk], host: str, port: int) -> list[str]:
    """Put right what a peer sent, in place.

    Args:
        host: Numeric address that it came from.
        port: Likewise.

    Returns:
        What was done, in words.
    """
    done: list[str] = []
    if "contact-private" in quirks and _place_contact(message, host, port):
        done.append(f"contact-private: Contact is taken to be {host}:{port}")
    if isinstance(message, Response):
        done += _repair_progress(message, quirks)
    if "session-timer-broken" in quirks:
        done += _without_timers(message)
    if message.body and message.content_type == _SDP_TYPE:
        done += _repair_body(message, quirks)
    return done


def repair_sent(message: Message, quirks: Collection[Quirk]) -> list[str]:
    """Leave out, in place, what a peer is known to fail at; what was done, in words."""
    return _without_timers(message) if "session-timer-broken" in quirks else []


def symptoms(description: SessionDescription) -> list[str]:
    """What of a description is as broken peers write it, and which repair there is."""
    found = []
    if any(_lacks_crypto(media) for media in description.media):
        found.append("says RTP/SAVP without a key; `repair: [savp-no-crypto]` takes it for RTP")
    unknown = [
        payload
        for media in description.media
        if media.is_rtp and not media.rejected
        for payload in media.formats
        if media.codec(payload) is None
    ]
    if unknown:
        types = ", ".join(unknown[:8])
        found.append(f"has no rtpmap for {types}; `repair: [rtpmap-missing]` puts that right")
    return found


def _place_contact(message: Message, host: str, port: int) -> bool:
    headers = message.headers
    if len(headers.all("contact")) != 1:
        return False
    try:
        (contact,) = message.contacts
        private = ip_address(contact.uri.host).is_private
    except (ParseError, ValueError):
        return False
    if not private or contact.uri.host == host:
        return False
    headers.set("Contact", str(replace(contact, uri=replace(contact.uri, host=host, port=port))))
    return True


def _repair_progress(response: Response, quirks: Collection[Quirk]) -> Iterator[str]:
    before, described = response.status, bool(response.body)
    if "ringing-with-sdp" in quirks and before in _RINGING and described:
        after = 183
    elif "progress-without-sdp" in quirks and before == 183 and not described:
        after = 180
    else:
        return
    response.status, response.reason = after, reason_of(after)
    quirk = "ringing-with-sdp" if described else "progress-without-sdp"
    yield f"{quirk}: {before} is taken for {after}"


def _without_timers(message: Message) -> list[str]:
    headers = message.headers
    found = any(headers.has(key) for key in _TIMERS)
    for key in _TIMERS:
        headers.remove(key)
    for name, key in _OPTIONS:
        options = headers.values(key)
        kept = [option for option in options if option.lower() != "timer"]
        if kept == options:
            continue
        found = True
        headers.remove(key)
        if kept:
            headers.append(name, ", ".join(kept))
    return ["session-timer-broken: without what it says of session timers"] if found else []


def _repair_body(message: Message, quirks: Collection[Quirk]) -> list[str]:
    wanted = [quirk for quirk in ("savp-no-crypto", "rtpmap-missing") if quirk in quirks]
    if not wanted or message.headers.has("content-encoding"):
        return []
    try:
        description = parse_sdp_untrusted(message.body)
    except SdpError:
        return []
    done: list[str] = []
    for number, media in enumerate(description.media):
        if media.rejected or not media.is_rtp:
            continue
        if "savp-no-crypto" in wanted and _lacks_crypto(media):
            media.protocol = media.protocol.replace("SAVP", "AVP")
            done.append(f"savp-no-crypto: m-line {number + 1} is taken for {media.protocol}")
        if "rtpmap-missing" in wanted and _map_formats(media):
            done.append(f"rtpmap-missing: m-line {number + 1} says what its payload types are")
    if done:
        message.body = serialize_sdp(description)
    return done


def _lacks_crypto(media: MediaDescription) -> bool:
    savp = media.protocol in ("RTP/SAVP", "RTP/SAVPF") and not media.rejected
    return savp and not (media.has("crypto") or media.has("fingerprint"))


def _map_formats(media: MediaDescription) -> bool:
    """Say what every payload type is; whether anything was to be said."""
    said = {value.split()[0] for value in media.attributes_named("rtpmap") if value.split()}
    missing = [payload for payload in media.formats if payload not in said]
    unknown = []
    for payload in missing:
        codec = _codec_text(media, payload)
        if codec:
            media.attributes.append(("rtpmap", f"{payload} {codec}"))
        else:
            unknown.append(payload)
    if len(unknown) < len(media.formats):
        media.formats = [payload for payload in media.formats if payload not in unknown]
        media.attributes = [one for one in media.attributes if not _is_about(one, unknown)]
    return bool(missing)


def _codec_text(media: MediaDescription, payload: str) -> str:
    codec = STATIC_CODECS.get(payload)
    if codec is not None:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        return f"{codec.name}/{codec.clock_hz}{channels}"
    for value in media.attributes_named("fmtp"):
        about, _, text = value.strip().partition(" ")
        if about == payload and _EVENTS.fullmatch(text):
            return "telephone-event/8000"
    return ""


def _is_about(attribute: tuple[str, str | None], payloads: list[str]) -> bool:
    name, value = attribute
    return name in ("fmtp", "rtcp-fb") and (value or "").partition(" ")[0] in payloads
