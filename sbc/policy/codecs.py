"""Codec policy: which formats of an m-line pass, and in which order they are offered.

What helps a codec and is none itself (telephone-event, comfort noise) stays with it; what carries
another format (retransmission, redundancy) goes with that.

Spec: RFC 3264 §5.1 (order is preference), RFC 4733 (telephone-event), RFC 3389 (CN), RFC 4588
(rtx), RFC 2198 (red).
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sbc.routing.codecs import CodecRules
from sbc.sdp.attributes.rtpmap import Codec
from sbc.sdp.description import Attribute, MediaDescription

_STAY: Final = frozenset({"telephone-event", "cn"})
"""What needs no naming beside a codec."""

_CARRIERS: Final = frozenset({"rtx", "red", "ulpfec", "flexfec-03", "flexfec"})
"""What is of no use without another format."""

_AUXILIARY: Final = _STAY | _CARRIERS
"""What carries no media by itself."""

_PER_FORMAT: Final = frozenset({"rtpmap", "fmtp", "rtcp-fb"})
"""The attributes whose value begins with a payload type."""

_CARRIED: Final = re.compile(r"\bapt=([0-9]{1,3})\b", re.IGNORECASE)
_REDUNDANT: Final = re.compile(r"[0-9]{1,3}(?:/[0-9]{1,3})*")


def codec_names(media: MediaDescription) -> tuple[str, ...]:
    """The codecs of an m-line, in lower case and in its order; what nothing names is left out."""
    found = (media.codec(one) for one in media.formats)
    return tuple(codec.name.lower() for codec in found if codec is not None)


def objection(media: MediaDescription, rules: tuple[CodecRules, ...]) -> str | None:
    """Why an m-line of RTP may not pass; None if something of it may.

    The text is for the Warning header and the journal: it quotes whoever described the m-line.
    """
    for rule in rules:
        if rule.kinds and media.kind not in rule.kinds:
            return f"{media.kind} may not pass here"
    kept = _kept(media, rules)
    for one in kept:
        if _is_codec(media.codec(one)):
            return None
    offered = ", ".join(dict.fromkeys(codec_names(media))) or "none"
    wanted = ", ".join(dict.fromkeys(name for rule in rules for name in rule.allow))
    text = f"no codec of {media.kind} may pass ({offered})"
    return f"{text}; these may: {wanted}" if wanted else text


def shaped(
    media: MediaDescription, rules: tuple[CodecRules, ...], *, ordered: bool = True
) -> MediaDescription:
    """An m-line with the formats that may pass and nothing of the others.

    Args:
        ordered: Whether preferred codecs come first; an answer keeps the order of who answers.
    """
    if not rules:
        return media
    formats = _kept(media, rules)
    if ordered:
        for rule in rules:
            formats = _in_order(media, formats, rule.prefer)
    if formats == media.formats:
        return media
    gone = frozenset(media.formats) - frozenset(formats)
    attributes = [one for one in media.attributes if not _is_of(one, gone)]
    return replace(media, formats=formats, attributes=attributes)


def _kept(media: MediaDescription, rules: tuple[CodecRules, ...]) -> list[str]:
    """The formats that may pass, in the order of the m-line."""
    if not rules:
        return media.formats
    codecs = {one: media.codec(one) for one in media.formats}
    kept = [one for one in media.formats if all(_passes(codecs[one], rule) for rule in rules)]
    if len(kept) == len(media.formats):
        return kept
    return [one for one in kept if _has_what_it_carries(media, one, codecs[one], kept)]


def _passes(codec: Codec | None, rule: CodecRules) -> bool:
    if codec is None:
        return not rule.allow
    if _is_one_of(codec, rule.remove):
        return False
    name = codec.name.lower()
    if not rule.allow or _is_one_of(codec, rule.allow):
        return True
    return name in _AUXILIARY


def _is_one_of(codec: Codec, names: Iterable[str]) -> bool:
    name = codec.name.lower()
    return any(one in (name, f"{name}/{codec.clock_hz}") for one in names)


def _is_codec(codec: Codec | None) -> bool:
    """Whether it carries media by itself; what nothing names may."""
    return codec is None or codec.name.lower() not in _AUXILIARY


def _has_what_it_carries(
    media: MediaDescription, payload_type: str, codec: Codec | None, kept: list[str]
) -> bool:
    """Whether a format that carries others has one left to carry."""
    if codec is None or codec.name.lower() not in _CARRIERS:
        return True
    for value in media.attributes_named("fmtp"):
        of, _, parameters = value.strip().partition(" ")
        if of != payload_type:
            continue
        carried = _CARRIED.findall(parameters)
        if not carried and _REDUNDANT.fullmatch(parameters.strip()):
            carried = parameters.strip().split("/")
        return not carried or all(one in kept for one in carried)
    return True


def _in_order(media: MediaDescription, formats: list[str], prefer: tuple[str, ...]) -> list[str]:
    """The formats, the preferred first; the rest as it was."""
    if not prefer:
        return formats

    def rank(payload_type: str) -> int:
        codec = media.codec(payload_type)
        if codec is not None:
            for number, name in enumerate(prefer):
                if _is_one_of(codec, (name,)):
                    return number
        return len(prefer)

    return sorted(formats, key=rank)


def _is_of(attribute: Attribute, formats: frozenset[str]) -> bool:
    """Whether an attribute belongs to one of some formats."""
    name, value = attribute
    if name.lower() not in _PER_FORMAT or value is None:
        return False
    return value.strip().partition(" ")[0] in formats
