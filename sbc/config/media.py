"""Media rules of a peer: what its file may say of them, and what they become."""

from typing import Annotated, Literal

from pydantic import Field

from media.types import SrtpAbilities
from sbc.document.problem import Path, Severity
from sbc.document.schema import OneOrMany, Section
from sbc.document.text import Document
from sbc.policy.media_schema import CODECS, KINDS, CodecsSection, Kinds, codec_rules
from sbc.prefixes import single_host
from sbc.routing.codecs import CodecRules
from sbc.routing.model import MediaRules, Network, PeerKind, SrtpMode, Target
from sbc.sip.flow import SECURED

SuiteName = Literal[
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
]


class MediaSection(Section):
    """What media may look like towards a peer."""

    srtp: SrtpMode = Field(
        default="allow",
        description="`off`: RTP only; `allow`: we offer RTP and accept SRTP; `prefer`: we offer "
        "SRTP and accept RTP; `require`: SRTP, or the call is refused with 488.",
    )
    srtp_from: SrtpMode | None = Field(
        default=None,
        description="As `srtp`, for calls that come from the peer; without it the same.",
        examples=["require"],
    )
    sdes_in_clear: bool = Field(
        default=False,
        description="Whether SRTP keys may stand in SIP that comes or goes by UDP, TCP or WS, "
        "where anybody on the way can read them. Without it, such offers get 488, and SRTP is "
        "offered by TLS only.",
        examples=["true"],
    )
    suites: Annotated[tuple[SuiteName, ...], Field(min_length=1), OneOrMany()] = Field(
        default=(
            "AEAD_AES_256_GCM",
            "AEAD_AES_128_GCM",
            "AES_CM_128_HMAC_SHA1_80",
            "AES_CM_128_HMAC_SHA1_32",
        ),
        description="SRTP suites, best first. Those of AES_192_CM and AES_256_CM need the native "
        "media engine.",
        examples=[["AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]],
    )
    max_kbps: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Most kilobits per second that one stream may bring; without it no limit.",
        examples=[256],
    )
    rtcp_mux: bool = Field(
        default=True, description="Whether RTP and RTCP may share a port.", examples=["true"]
    )
    kinds: Kinds | None = KINDS
    codecs: CodecsSection = CODECS


def build_media(
    document: Document,
    section: MediaSection,
    able: SrtpAbilities,
    path: Path,
    *,
    kind: PeerKind,
    network: Network | None,
    targets: tuple[Target, ...],
) -> MediaRules:
    """The media rules of a peer; what is wrong with them is reported in the document.

    Args:
        able: what the media engine can do.
    """
    if network is not None and not section.sdes_in_clear:
        if kind == "endpoints":
            _check_phones(document, section, network, path)
        else:
            _check_targets(document, section, targets, path)
    codecs = codec_rules(section.codecs, section.kinds, document.place(path, key=True).where)
    return MediaRules(
        srtp=section.srtp,
        suites=_suites(document, section, able, path),
        max_kbps=section.max_kbps,
        rtcp_mux=section.rtcp_mux,
        mki=able.mki,
        srtp_from=section.srtp_from,
        sdes_in_clear=section.sdes_in_clear,
        codecs=() if codecs == CodecRules(where=codecs.where) else (codecs,),
    )


def _check_phones(document: Document, section: MediaSection, network: Network, path: Path) -> None:
    """Tell of SRTP that no phone of a network can have, since its keys could be read."""
    key = "srtp_from" if section.srtp_from == "require" else "srtp"
    if key not in section.model_fields_set or getattr(section, key) == "off":
        return
    if any(listener.transport in SECURED for listener in network.listeners):
        return
    if getattr(section, key) == "require":
        text = "no phone can call: SRTP is required, and its keys are not taken in the clear"
        severity = Severity.ERROR
    else:
        text = "no phone has SRTP: its keys are not taken in the clear"
        severity = Severity.WARNING
    document.report(
        (*path, key),
        text,
        f"add tls/5061 to the listen of network {network.name!r}, or write sdes_in_clear: true",
        severity=severity,
    )


def _check_targets(
    document: Document, section: MediaSection, targets: tuple[Target, ...], path: Path
) -> None:
    """Tell of SRTP that is never offered to a target, since its keys could be read."""
    if section.srtp not in {"prefer", "require"}:
        return
    clear = next((one for one in targets if _is_clear(one)), None)
    if clear is None:
        return
    by = clear.transport or "udp"
    required = section.srtp == "require"
    then = "no call goes there" if required else "calls there have RTP"
    document.report(
        (*path, "srtp"),
        f"SRTP keys are not sent to {clear.host} by {by}, where they can be read: {then}",
        "add ;transport=tls to its address, or write sdes_in_clear: true",
        severity=Severity.ERROR if required else Severity.WARNING,
    )


def _is_clear(target: Target) -> bool:
    """Whether a target is surely reached in the clear; of a name, DNS may say TLS."""
    if target.transport is not None:
        return target.transport not in SECURED
    return target.port is not None or single_host(target.host) is not None


def _suites(
    document: Document, section: MediaSection, engine: SrtpAbilities, path: Path
) -> tuple[str, ...]:
    """The suites that the media engine can do; of the others the operator is told."""
    able = {suite.value for suite in engine.suites}
    left = tuple(suite for suite in section.suites if suite in able)
    if section.srtp == "off":
        return left
    then = "it is neither offered nor accepted" if left else "there is no other to use"
    for number, suite in enumerate(section.suites):
        if suite not in able:
            entry = (*path, "suites", number)
            document.report(
                entry if entry in document.values else (*path, "suites"),
                f"the media engine cannot do {suite}: {then}",
                "use the native engine (`sbc check` says why another one runs), or remove it",
                severity=Severity.WARNING if left else Severity.ERROR,
            )
    return left
