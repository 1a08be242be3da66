"""How phones of a peer register: what its section may say, and what becomes of it."""

from typing import Annotated

from pydantic import Field

from sbc.document.problem import Path
from sbc.document.schema import Section
from sbc.document.text import Document
from sbc.routing.model import PeerKind
from sbc.routing.registration import RELAYED, Registration, RegistrationMode

_KEYS_OF = {
    "relay": frozenset({"path"}),
    "cache": frozenset({"path", "phone_expires", "registrar_expires"}),
    "local": frozenset({"min_expires", "max_expires", "max_contacts"}),
}
_LONGEST_S = 604_800
Life = Annotated[int, Field(ge=10, le=_LONGEST_S)]


class RegistrationSection(Section):
    """Who decides on the registrations of phones, and how long they last."""

    mode: RegistrationMode = Field(
        default="relay",
        description="`relay`: each REGISTER goes to the registrar that the routes say; `cache`: "
        "the same, but a refresh that says nothing new is answered here while at least half of "
        "what the registrar granted is left; `local`: we are the registrar, which needs "
        "`authentication: {mode: challenge}` and no PBX.",
        examples=["cache"],
    )
    phone_expires: Annotated[int, Field(ge=20, le=3600)] = Field(
        default=RELAYED.phone_expires_s,
        description="`cache`: seconds after which a phone shall refresh, less up to a tenth so "
        "that not all come at once; short ones keep its NAT open.",
        examples=[90],
    )
    registrar_expires: Life = Field(
        default=RELAYED.registrar_expires_s,
        description="`cache`: seconds asked of the registrar, at least twice `phone_expires`.",
        examples=[3600],
    )
    min_expires: Life = Field(
        default=RELAYED.min_expires_s,
        description="`local`: seconds; a phone that asks for less is refused with 423.",
        examples=[60],
    )
    max_expires: Life = Field(
        default=RELAYED.max_expires_s,
        description="`local`: seconds; a phone that asks for more gets these.",
        examples=[3600],
    )
    max_contacts: Annotated[int, Field(ge=1, le=20)] = Field(
        default=RELAYED.max_contacts,
        description="`local`: contacts of one user; above them the one that would end first gives "
        "way to a new one.",
        examples=[10],
    )
    path: bool = Field(
        default=False,
        description="`relay` and `cache`: whether the registrar is told a Path through us (RFC "
        "3327), for one that stands behind a proxy of its own.",
        examples=["true"],
    )


def build_registration(
    document: Document,
    path: Path,
    section: RegistrationSection,
    *,
    kind: PeerKind,
    challenged: bool,
) -> Registration:
    """How the phones of a peer register; what is wrong with it is reported.

    Args:
        path: Of the section.
        challenged: Whether we demand credentials of the peer ourselves.
    """
    given = section.model_fields_set
    if kind != "endpoints" and given:
        document.report(
            path,
            f"a {kind} does not register here, phones do",
            "write it for a peer of kind endpoints",
            key=True,
        )
    for key in sorted(given - _KEYS_OF[section.mode] - {"mode"}):
        modes = " or ".join(mode for mode, keys in _KEYS_OF.items() if key in keys)
        document.report(
            (*path, key),
            f"{key} says nothing in mode {section.mode}",
            f"remove it, or use mode: {modes}",
            key=True,
        )
    _check_lives(document, path, section)
    if section.mode == "local" and not challenged:
        document.report(
            (*path, "mode"),
            "without a PBX nobody would ask who registers, so anybody could be anybody",
            "add authentication: {mode: challenge} with users to this peer",
        )
    return Registration(
        mode=section.mode,
        phone_expires_s=section.phone_expires,
        registrar_expires_s=section.registrar_expires,
        min_expires_s=section.min_expires,
        max_expires_s=section.max_expires,
        max_contacts=section.max_contacts,
        path=section.path,
    )


def _check_lives(document: Document, path: Path, section: RegistrationSection) -> None:
    if section.mode == "cache" and section.registrar_expires < 2 * section.phone_expires:
        key = "registrar_expires" if "registrar_expires" in section.model_fields_set else "mode"
        document.report(
            (*path, key),
            f"registrar_expires ({section.registrar_expires}) is less than twice phone_expires "
            f"({section.phone_expires}), so hardly any refresh could be answered here",
            f"for example: registrar_expires: {max(3600, 2 * section.phone_expires)}",
        )
    if section.mode == "local" and section.min_expires > section.max_expires:
        key = "min_expires" if "min_expires" in section.model_fields_set else "max_expires"
        document.report(
            (*path, key),
            f"min_expires ({section.min_expires}) is above max_expires ({section.max_expires})",
            "let a phone have something between them",
        )
