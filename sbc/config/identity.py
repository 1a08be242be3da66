"""Identity rules of a peer: what its file may say of them, and what they become."""

from typing import Literal

from pydantic import Field

from sbc.document.problem import Path, Severity
from sbc.document.schema import Section
from sbc.document.text import Document
from sbc.routing.identity import Assertion, IdentityRules, Presentation, PrivacyCare
from sbc.routing.model import Network, PeerKind


class IdentitySection(Section):
    """Who may know who calls. Identity headers cross only between peers that are both trusted."""

    trust: Literal["trusted", "untrusted"] | None = Field(
        default=None,
        description="Whether the peer is in your trust domain: what it asserts is believed, it is "
        "told what others asserted, and it may ask phones to answer by themselves. Without it as "
        "its network.",
        examples=["trusted"],
    )
    present: Presentation = Field(
        default="pai",
        description="How it is told who calls: `pai`: P-Asserted-Identity; `ppi`: "
        "P-Preferred-Identity; `rpid`: Remote-Party-ID; `from`: the asserted identity stands in "
        "From, which untrusted peers may have too.",
        examples=["rpid"],
    )
    asserted: Assertion = Field(
        default="keep",
        description="What becomes of the identities that it asserts: `keep`; `drop`; `make`: where "
        "it asserts none the SBC does, of a phone the user that it registered, of a trusted peer "
        "what its From says.",
        examples=["make"],
    )
    privacy: PrivacyCare = Field(
        default="honour",
        description="`honour`: who asks for privacy is anonymous toward it; `ignore`: it sees who "
        "calls all the same, as emergency services may.",
        examples=["honour"],
    )


def build_identity(
    document: Document,
    section: IdentitySection,
    kind: PeerKind,
    network: Network | None,
    path: Path,
) -> IdentityRules:
    """The identity rules of a peer; what is wrong with them is reported in the document."""
    trust = None if section.trust is None else section.trust == "trusted"
    trusted = trust if trust is not None else network is not None and network.trusted
    if not trusted and network is not None:
        _check_untrusted(document, section, kind, path)
    if trust and kind == "endpoints" and network is not None and not network.trusted:
        document.report(
            (*path, "trust"),
            "every phone that registers is believed, whatever it says of who calls",
            "leave it out, and write asserted: make",
            severity=Severity.WARNING,
        )
    return IdentityRules(trust, section.present, section.asserted, section.privacy)


def _check_untrusted(
    document: Document, section: IdentitySection, kind: PeerKind, path: Path
) -> None:
    """Complain of what can have no effect on a peer outside the trust domain."""
    if "present" in section.model_fields_set and section.present != "from":
        document.report(
            (*path, "present"),
            f"an untrusted peer gets no identity headers, so {section.present} can never be sent",
            "add trust: trusted, or present: from",
        )
    if section.asserted == "make" and kind != "endpoints":
        document.report(
            (*path, "asserted"),
            "nothing can be asserted of an untrusted peer: what its From says proves nothing",
            "add trust: trusted, or leave it out",
        )
    if section.privacy == "ignore":
        document.report(
            (*path, "privacy"),
            "who asks for privacy is shown to an untrusted peer",
            "add trust: trusted if it is an emergency service; else leave it out",
            severity=Severity.WARNING,
        )
