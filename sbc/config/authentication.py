"""How a peer is authenticated: what its section may say, and what becomes of it."""

from collections.abc import Callable, Iterable
from pathlib import Path as FilePath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sbc.config.users import BadLine, read_users
from sbc.document.problem import Path, Place
from sbc.document.reading import why_unreadable
from sbc.document.schema import BadValue, OneOrMany, Section, TextFor
from sbc.document.text import Document
from sbc.routing.accounts import ANYBODY, Account, Realm, User
from sbc.routing.model import Peer, PeerKind
from sbc.sip.digest import ALGORITHMS, ha1_of

ReadText = Callable[[FilePath], str]
Mode = Literal["pass", "challenge", "answer"]
Algorithm = Literal["SHA-512-256", "SHA-256", "MD5"]

_OFFERED = ("SHA-256", "MD5")
"""What is offered where the file does not say and every user has a hash for it."""

_KEYS_OF = {
    "pass": frozenset[str](),
    "challenge": frozenset(
        {"realm", "users", "users_file", "algorithms", "qop", "nonce_lifetime", "identify"}
    ),
    "answer": frozenset({"realm", "username", "password"}),
}
_USERS_EXAMPLE = "for example: users: {alice: {password: '${ALICE_PASSWORD}'}}"


def _check_user(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise BadValue(f"{name!r} is no user name", "printable characters, and no colon")
    return name


class UserSection(Section):
    """Somebody who may log in. A text in its place is the password."""

    password: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="Its password; better `${NAME}`, from the environment. Not for those who stand "
        "in `users_file`.",
        examples=["${ALICE_PASSWORD}"],
    )
    aors: Annotated[tuple[str, ...], Field(min_length=1), OneOrMany()] | None = Field(
        default=None,
        description="User parts that it may call itself and register; `*` for any. Without it its "
        "name, and for a PBX or trunk any.",
        examples=[["alice", "200"]],
    )


UserName = Annotated[str, AfterValidator(_check_user)]


class AuthenticationSection(Section):
    """Digest authentication with a peer (RFC 7616, RFC 8760)."""

    mode: Mode = Field(
        default="pass",
        description="`pass`: challenges and credentials go through, and the other side decides; "
        "`challenge`: we ask for credentials before the peer may register or call, and do not pass "
        "them on (few phones can answer a PBX behind us that asks again); `answer`: we answer the "
        "challenges of the peer with `username` and `password` in calls and for ourselves, and "
        "nobody else sees them; phones that register there through us answer for themselves.",
    )
    realm: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(
        default=None,
        description="`challenge`: what the credentials are for; without it the peer's `domain`. "
        "`answer`: the only realm that is answered; without it whichever asks.",
        examples=["example.com"],
    )
    username: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="`answer`: of our account at the peer.", examples=["acme"]
    )
    password: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="`answer`: of our account; better `${NAME}`, from the environment.",
        examples=["${TRUNK_PASSWORD}"],
    )
    users: dict[UserName, Annotated[UserSection, TextFor("password")]] = Field(
        default={},
        description="`challenge`: who may log in.",
        examples=[{"alice": "${ALICE_PASSWORD}"}],
    )
    users_file: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="`challenge`: a file of users, relative to this file, read again with it. Its "
        "lines are `user:realm:HASH` (MD5, as htdigest writes it) or `user:realm:SHA-256:HASH`, "
        "where HASH is that of `user:realm:password`. Lines for other realms are left out.",
        examples=["users.txt"],
    )
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1), OneOrMany()] | None = Field(
        default=None,
        description="`challenge`: what is offered, always strongest first. Without it SHA-256 and "
        "MD5, as far as there is a hash of every user. Phones that give up over an algorithm "
        "that they do not know need `MD5` alone.",
        examples=[["SHA-256", "MD5"]],
    )
    qop: Annotated[tuple[Literal["auth", "auth-int"], ...], Field(min_length=1), OneOrMany()] = (
        Field(
            default=("auth",),
            description="`challenge`: what the credentials may protect: `auth`: method and "
            "Request-URI; `auth-int`: the body too.",
            examples=["auth"],
        )
    )
    nonce_lifetime: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=300.0,
        description="`challenge`: seconds for which a challenge can be answered.",
        examples=[300],
    )
    identify: Literal["source", "credentials"] = Field(
        default="source",
        description="`challenge`, for a PBX or trunk: whether its requests are known by where they "
        "come from, or by their credentials too, from anywhere on the network.",
    )


def build_authentication(
    document: Document,
    path: Path,
    section: AuthenticationSection,
    *,
    kind: PeerKind,
    domain: str | None,
    read: ReadText,
) -> tuple[Account | None, Realm | None]:
    """Our account at a peer, or what it is challenged for; what is wrong is reported.

    Args:
        path: of the section.
        read: reads a file; raises OSError or ValueError.
    """
    _check_keys(document, path, section)
    if section.mode == "answer":
        return _account(document, path, section, kind), None
    if section.mode == "challenge":
        if kind == "endpoints" and section.identify == "credentials":
            document.report(
                (*path, "identify"),
                "phones are known by their registration, for which they log in anyway",
                "remove it",
                key=True,
            )
        return None, _RealmBuilder(document, path, section, kind, read).realm(domain)
    return None, None


def _check_keys(document: Document, path: Path, section: AuthenticationSection) -> None:
    for key in sorted(section.model_fields_set - {"mode"} - _KEYS_OF[section.mode]):
        fits = " or ".join(mode for mode, keys in _KEYS_OF.items() if key in keys)
        document.report(
            (*path, key),
            f"{key!r} means nothing with mode {section.mode!r}",
            f"write mode: {fits}, or remove it",
            key=True,
        )


def _account(
    document: Document, path: Path, section: AuthenticationSection, kind: PeerKind
) -> Account | None:
    if kind == "endpoints":
        document.report(
            (*path, "mode"),
            "phones ask us for no password",
            "write mode: challenge or pass; mode: answer is for a PBX or trunk",
        )
        return None
    if section.username is None or section.password is None:
        missing = "username" if section.username is None else "password"
        document.report(
            (*path, missing),
            f"mode 'answer' needs a {missing}",
            "for example: {mode: answer, username: acme, password: '${TRUNK_PASSWORD}'}",
            key=True,
        )
        return None
    return Account(section.username, section.password, section.realm)


class _RealmBuilder:
    __slots__ = ("_document", "_kind", "_path", "_read", "_section")

    def __init__(
        self,
        document: Document,
        path: Path,
        section: AuthenticationSection,
        kind: PeerKind,
        read: ReadText,
    ) -> None:
        self._document = document
        self._path = path
        self._section = section
        self._kind = kind
        self._read = read

    def realm(self, domain: str | None) -> Realm | None:
        section = self._section
        name = section.realm or domain
        if name is None:
            self._document.report(
                (*self._path, "realm"),
                "mode 'challenge' needs a realm, since the peer has no domain",
                "for example: realm: example.com",
                key=True,
            )
            return None
        hashes = self._hashes(name)
        users = {user: self._user(user, hashes[user]) for user in hashes}
        if not users:
            self._document.report(
                (*self._path, "mode"),
                f"nobody could log in: there are no users of realm {name!r}",
                _USERS_EXAMPLE,
            )
            return None
        return Realm(
            name=name,
            users=users,
            algorithms=self._algorithms(hashes),
            qop=frozenset(section.qop),
            nonce_s=section.nonce_lifetime,
            tells_peer=section.identify == "credentials",
        )

    def _hashes(self, realm: str) -> dict[str, dict[str, str]]:
        """What each user is known by, by algorithm."""
        found = self._hashes_in_file(realm)
        for user, section in self._section.users.items():
            if section.password is not None:
                found[user] = {
                    algorithm: ha1_of(algorithm, user, realm, section.password)
                    for algorithm in ALGORITHMS
                }
            elif user not in found:
                self._document.report(
                    (*self._path, "users", user),
                    f"{user!r} has neither a password nor a line in a users_file",
                    _USERS_EXAMPLE,
                    key=True,
                )
        return found

    def _hashes_in_file(self, realm: str) -> dict[str, dict[str, str]]:
        name = self._section.users_file
        found: dict[str, dict[str, str]] = {}
        if name is None:
            return found
        where = (*self._path, "users_file")
        file = FilePath(self._document.file).parent / name
        try:
            text = self._read(file)
        except (OSError, ValueError) as error:
            why = why_unreadable(error)
            self._document.report(where, f"{name}: cannot be read: {why}", f"looked at {file}")
            return found
        for line in read_users(text):
            if isinstance(line, BadLine):
                place = Place(str(file), line.line, 1)
                self._document.report_at(place, where, line.why)
            elif line.realm == realm:
                found.setdefault(line.user, {})[line.algorithm] = line.ha1
        return found

    def _user(self, name: str, hashes: dict[str, str]) -> User:
        section = self._section.users.get(name)
        if section is not None and section.aors is not None:
            return User(name, hashes, frozenset(section.aors))
        return User(name, hashes, frozenset({name if self._kind == "endpoints" else ANYBODY}))

    def _algorithms(self, hashes: dict[str, dict[str, str]]) -> tuple[str, ...]:
        """What can be offered: a hash is needed of every user, for any may be the one who asks."""
        wanted = self._section.algorithms
        common = [one for one in ALGORITHMS if all(one in known for known in hashes.values())]
        if wanted is None:
            usual = tuple(algorithm for algorithm in common if algorithm in _OFFERED)
            if not common:
                self._document.report(
                    (*self._path, "users_file"),
                    "there is no algorithm that every user has a hash for",
                    "add the missing lines, at least for MD5",
                )
            return usual or tuple(common)
        for algorithm in wanted:
            lacking = [user for user, known in hashes.items() if algorithm not in known]
            if lacking:
                self._document.report(
                    (*self._path, "algorithms"),
                    f"user {lacking[0]!r} has no {algorithm} hash",
                    f"add its line to the users_file, or offer only: {', '.join(common) or '-'}",
                )
        return tuple(algorithm for algorithm in ALGORITHMS if algorithm in wanted)


def check_realms(document: Document, peers: Iterable[Peer]) -> None:
    """Complain about peers of one network that credentials would not tell apart."""
    realms: dict[str, Peer] = {}
    users: dict[tuple[str, str], Peer] = {}
    for peer in peers:
        if peer.realm is None or not peer.realm.tells_peer:
            continue
        path = ("peers", peer.name, "authentication")
        first = realms.setdefault(peer.network, peer)
        if first.realm is not None and first.realm.name != peer.realm.name:
            document.report(
                (*path, "realm"),
                f"strangers on network {peer.network!r} are asked for {first.realm.name!r} already",
                f"peers known by credentials share a realm; see {first.name!r}",
                key=True,
            )
        for user in peer.realm.users:
            other = users.setdefault((peer.network, user), peer)
            if other is not peer:
                document.report(
                    (*path, "users"),
                    f"{user!r} is a user of peer {other.name!r} too",
                    "credentials must tell the peers apart",
                    key=True,
                )
