"""How we register with a trunk: what its section may say, and what becomes of it."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from sbc.config.values import parse_domain
from sbc.document.problem import Path, Severity
from sbc.document.schema import BadValue, Section
from sbc.document.text import Document
from sbc.routing.accounts import Account
from sbc.routing.model import Peer, PeerKind, Target
from sbc.routing.registering import Registering

_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2}){1,128}")
"""RFC 3261 §25.1 `user`."""
_USER_EXAMPLE = "for example: user: '4930123456'"


def _check_user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise BadValue(f"{text[:60]!r} is no user part of a SIP address", _USER_EXAMPLE)
    return text


UserPart = Annotated[
    str, AfterValidator(_check_user), WithJsonSchema({"type": "string", "examples": ["4930123456"]})
]
_Domain = Annotated[
    str,
    PlainValidator(parse_domain),
    WithJsonSchema({"type": "string", "examples": ["registrar.example.com"]}),
]


class RegisterSection(Section):
    """A registration of ours with a trunk. Calls then use the flow that registered, and no other;
    as long as there is none they go to the next peer of their route."""

    user: UserPart | None = Field(
        default=None,
        description="User part of the address that we register, `user@domain`, where `domain` is "
        "the peer's, or the host of its first `address`. Without it the `username` of its "
        "`authentication`.",
        examples=["4930123456"],
    )
    contact: UserPart | None = Field(
        default=None,
        description="User part of our Contact, which the trunk calls; without it `user`. Trunks on "
        "one machine need contacts that differ.",
        examples=["4930123456"],
    )
    registrar: _Domain | None = Field(
        default=None,
        description="Domain that REGISTER is for; without it that of the address we register. It "
        "is sent to the targets in `address`, whatever this says.",
        examples=["registrar.example.com"],
    )
    expires: Annotated[int, Field(ge=60, le=604_800)] = Field(
        default=600,
        description="Seconds asked for; the registrar decides. It is refreshed after 60 to 80 % of "
        "what was granted.",
        examples=[600],
    )


def build_registering(
    document: Document,
    path: Path,
    section: RegisterSection,
    *,
    kind: PeerKind,
    targets: tuple[Target, ...],
    domain: str | None,
    account: Account | None,
) -> Registering | None:
    """How we register with a peer; what is wrong is reported.

    Args:
        path: of the section.
    """
    if kind != "trunk":
        document.report(
            path, f"we register with trunks, not with peers of kind {kind!r}", "remove it", key=True
        )
        return None
    if not targets:
        document.report(
            path,
            "there is no address to register at",
            "for example: address: sip.carrier.example",
            key=True,
        )
        return None
    user = section.user or (account.username if account is not None else None)
    if user is None or not _USER.fullmatch(user):
        why = "nothing says whom we register" if user is None else f"{user!r} is no user part"
        document.report((*path, "user"), why, _USER_EXAMPLE, key=True)
        return None
    host = domain or targets[0].host
    return Registering(
        user=user,
        domain=host,
        registrar=section.registrar or host,
        contact=section.contact or user,
        expires_s=section.expires,
    )


def check_contacts(document: Document, peers: Iterable[Peer]) -> None:
    """Warn of trunks on one machine whose calls to us nothing would tell apart."""
    claimed: dict[tuple[str, str, str], Peer] = {}
    for peer in peers:
        if peer.registering is None:
            continue
        for target in peer.targets:
            key = (peer.network, target.host, peer.registering.contact)
            first = claimed.setdefault(key, peer)
            if first is not peer:
                document.report(
                    ("peers", peer.name, "register"),
                    f"calls to {peer.registering.contact!r} from {target.host} are taken for "
                    f"those of {first.name!r}, which registers the same contact there",
                    "give each a contact of its own",
                    key=True,
                    severity=Severity.WARNING,
                )
