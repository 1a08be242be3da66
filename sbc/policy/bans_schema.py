"""What a policy file may say of bans, and the rules made of it."""

from typing import Annotated, Any, Final

from pydantic import Field, create_model

from sbc.document.schema import OneOrMany, Section
from sbc.policy.ban_rules import BanRules
from sbc.policy.bans import canonical
from sbc.policy.offences import WEIGHTS
from sbc.policy.prefix_text import Prefix

Seconds = Annotated[float, Field(ge=1, le=31_536_000)]
Points = Annotated[float, Field(ge=0, le=10_000)]

SCANNERS: Final = (
    "friendly-scanner",
    "sipvicious",
    "sipsak",
    "sundayddr",
    "sip-scan",
    "sipcli",
    "sipptk",
    "sivus",
    "smap",
    "iwar",
    "vaxsipuseragent",
    "pplsip",
    "siparmyknife",
    "test agent",
    "voipbuster",
    "eyebeamscan",
)
"""Pieces of names that scanners and their kits give themselves, and no phone."""


def _weights() -> Any:
    """A section with a number for each offence."""
    fields: dict[str, Any] = {
        offence.key: (
            Points,
            Field(default=points, description=f"{offence.value}.", examples=[points]),
        )
        for offence, points in WEIGHTS.items()
    }
    return create_model(
        "WeightsSection",
        __base__=Section,
        __doc__="What one case of each offence adds to a score; 0 only counts it.",
        **fields,
    )


WeightsSection = _weights()


class BansSection(Section):
    """Bans of sources that scan, guess and flood; without this section offences are only counted.

    What somebody is seen doing adds to a score that fades. Who proved where it is, by a connection
    or by answering a challenge, is banned at the threshold; what may be forged only mutes that one
    address and port for a moment. Peers, trusted networks, name servers, our own addresses and
    every address with a registered phone are never banned.
    """

    threshold: Annotated[float, Field(ge=1, le=1_000_000)] = Field(
        default=100.0, description="The score at which something is done.", examples=[100]
    )
    half_life: Seconds = Field(
        default=600.0, description="Seconds in which a score fades to its half.", examples=[600]
    )
    duration: Seconds = Field(
        default=600.0,
        description="Seconds of the first ban of a source; each further one is four times as long.",
        examples=[600],
    )
    longest: Seconds = Field(
        default=86_400.0,
        description="Seconds of the longest ban; after as long without one a source begins anew.",
        examples=[86400],
    )
    mute: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=30.0,
        description="Seconds for which an address and port is not heard whose messages prove "
        "nothing about where they come from.",
        examples=[30],
    )
    shadow: bool = Field(
        default=False,
        description="Only report who would be banned or muted, in the log and by `sbc bans`.",
        examples=["true"],
    )
    never_ban: Annotated[tuple[Prefix, ...], OneOrMany()] = Field(
        default=(),
        description="Addresses or prefixes that are never banned, besides those that never are.",
        examples=["192.0.2.0/24"],
    )
    scanners: Annotated[
        tuple[Annotated[str, Field(min_length=3, max_length=80)], ...], OneOrMany()
    ] = Field(
        default=SCANNERS,
        description="Pieces of the User-Agent header by which scanners are known; case is ignored.",
        examples=[["friendly-scanner", "sipvicious"]],
    )
    weights: WeightsSection = Field(  # type: ignore[valid-type]  # made of the table of offences
        default=WeightsSection(),
        description="What each offence counts.",
        examples=[{"wrong_password": 5}],
    )


def ban_rules(section: BansSection, where: str) -> BanRules:
    """The rules of a section that stands at `where`."""
    return BanRules(
        threshold=section.threshold,
        half_life_s=section.half_life,
        ban_s=section.duration,
        longest_s=max(section.longest, section.duration),
        mute_s=section.mute,
        shadow=section.shadow,
        never=tuple(canonical(prefix) for prefix in section.never_ban),
        weights={offence: getattr(section.weights, offence.key) for offence in WEIGHTS},
        scanners=tuple(name.lower() for name in section.scanners),
        where=where,
    )
