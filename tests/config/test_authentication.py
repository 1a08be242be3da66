"""What `authentication` of a peer may say, and that no secret of it is ever shown."""

from pathlib import Path

import pytest

from sbc.config.load import Configuration, LoadResult, load_text
from sbc.config.reload import diff
from sbc.routing.accounts import Account, Realm
from sbc.sip.digest import ha1_of
from tests.config.files import GOOD, POLICIES, FakeMachine

HA1 = {
    algorithm: ha1_of(algorithm, "bob", "example.com", "b0b") for algorithm in ("MD5", "SHA-256")
}
USERS = f"""\
# of the office
alice:example.com:{ha1_of("MD5", "alice", "example.com", "wonder")}
alice:example.com:sha-256:{ha1_of("SHA-256", "alice", "example.com", "wonder").upper()}

bob:example.com:{HA1["MD5"]}
carol:elsewhere.example:{HA1["MD5"]}
"""
PHONES = "  phones: {kind: endpoints, network: outside}\n"
TRUNK = "    sources: [198.51.100.0/28]\n"


def load(text: str, users: str = USERS, **environment: str) -> LoadResult:
    def read(path: Path) -> str:
        if path.name == "users.txt":
            return users
        if path.name not in POLICIES:
            raise FileNotFoundError(2, "No such file or directory")
        return POLICIES[path.name]

    return load_text(text, "sbc.yaml", FakeMachine(), environment, read)


def with_phones(authentication: str) -> str:
    more = f"kind: endpoints, network: outside, authentication: {authentication}"
    return GOOD.replace(PHONES, f"  phones: {{{more}}}\n")


def with_trunk(authentication: str) -> str:
    return GOOD.replace(TRUNK, f"{TRUNK}    authentication: {authentication}\n")


def configuration(text: str, users: str = USERS, **environment: str) -> Configuration:
    result = load(text, users, **environment)
    assert result.configuration is not None, [str(problem) for problem in result.problems]
    return result.configuration


def realm_of(text: str, peer: str = "phones", **environment: str) -> Realm:
    found = configuration(text, **environment).settings.peers
    realm = next(one.realm for one in found if one.name == peer)
    assert realm is not None
    return realm


def problems(text: str, users: str = USERS) -> list[str]:
    return [str(problem) for problem in load(text, users).problems]


def test_by_default_everything_passes_through() -> None:
    peers = configuration(GOOD).settings.peers
    assert {(peer.account, peer.realm) for peer in peers} == {(None, None)}


def test_an_account_is_what_a_peer_is_answered_with() -> None:
    text = with_trunk("{mode: answer, username: acme, password: '${PW}', realm: carrier.example}")
    trunk = next(p for p in configuration(text, PW="s3cret").settings.peers if p.name == "trunk")
    assert trunk.account == Account("acme", "s3cret", "carrier.example")


def test_users_are_kept_by_their_hashes_only() -> None:
    text = with_phones("{mode: challenge, realm: example.com, users: {bob: '${BOB}'}}")
    realm = realm_of(text, BOB="b0b")
    assert realm.algorithms == ("SHA-256", "MD5")
    assert {one: realm.users["bob"].hashes[one] for one in HA1} == HA1
    assert "b0b" not in repr(realm.users)


def test_a_user_may_have_more_addresses_than_its_name() -> None:
    users = "{bob: {password: b0b, aors: ['200', '201']}, eve: {password: x, aors: '*'}, al: y}"
    realm = realm_of(with_phones(f"{{mode: challenge, realm: r, users: {users}}}"))
    may = {name: [realm.users[name].may_be(user) for user in ("200", "al")] for name in realm.users}
    assert may == {"bob": [True, False], "eve": [True, True], "al": [False, True]}


def test_a_trunk_speaks_for_anybody_unless_told_otherwise() -> None:
    realm = realm_of(with_trunk("{mode: challenge, realm: r, users: {acme: x}}"), "trunk")
    assert realm.users["acme"].may_be("+4930123")


def test_a_file_of_users_gives_hashes_of_its_realm() -> None:
    realm = realm_of(with_phones("{mode: challenge, realm: example.com, users_file: users.txt}"))
    assert set(realm.users) == {"alice", "bob"}
    assert realm.users["bob"].hashes == {"MD5": HA1["MD5"]}


def test_only_what_every_user_has_a_hash_for_is_offered() -> None:
    text = with_phones("{mode: challenge, realm: example.com, users_file: users.txt}")
    assert realm_of(text).algorithms == ("MD5",)


def test_the_domain_of_the_peer_is_its_realm_by_default() -> None:
    text = with_phones("{mode: challenge, users: {bob: x}}, domain: example.com")
    assert realm_of(text).name == "example.com"


def test_what_is_offered_is_strongest_first_however_it_is_written() -> None:
    text = with_phones(
        "{mode: challenge, realm: r, users: {bob: x}, algorithms: [MD5, SHA-512-256, SHA-256], "
        "qop: [auth-int, auth], nonce_lifetime: 60}"
    )
    realm = realm_of(text)
    assert realm.algorithms == ("SHA-512-256", "SHA-256", "MD5")
    assert (realm.qop, realm.nonce_s) == ({"auth", "auth-int"}, 60)


BROKEN = {
    "{mode: challenge, users: {bob: x}}": "needs a realm, since the peer has no domain",
    "{mode: challenge, realm: r}": "nobody could log in: there are no users of realm 'r'",
    "{mode: challenge, realm: r, users: {bob: {aors: b}}}": "'bob' has neither a password nor",
    "{mode: challenge, realm: r, users: {'b:b': x}}": "'b:b' is no user name",
    "{mode: challenge, realm: r, users: {bob: ''}}": "users.bob: expected some text",
    "{mode: challenge, realm: r, users_file: none.txt}": "none.txt: cannot be read: no such file",
    "{mode: challenge, realm: r, users: {bob: x}, username: me}": "'username' means nothing with",
    "{mode: answer, username: me, password: x}": "phones ask us for no password",
    "{mode: challenge, realm: r, users: {bob: x}, identify: credentials}": "phones are known by",
    "{mode: challenge, realm: r, users: {bob: x}, algorithms: SHA-1}": "'SHA-1' is not understood",
    "{realm: r}": "'realm' means nothing with mode 'pass' (write mode: challenge or answer",
    "{mode: challenge, realm: example.com, users_file: users.txt, algorithms: SHA-256}": (
        "user 'bob' has no SHA-256 hash (add its line to the users_file, or offer only: MD5)"
    ),
}


@pytest.mark.parametrize("authentication", BROKEN)
def test_what_cannot_work_is_refused(authentication: str) -> None:
    found = problems(with_phones(authentication))
    assert any(BROKEN[authentication] in problem for problem in found), found
    assert all("peers.phones.authentication" in problem for problem in found)


@pytest.mark.parametrize("missing", ["username", "password"])
def test_an_account_needs_both_name_and_password(missing: str) -> None:
    other = {"username": "password", "password": "username"}[missing]
    (found,) = problems(with_trunk(f"{{mode: answer, {other}: x}}"))
    assert f"mode 'answer' needs a {missing}" in found


BAD_LINES = {
    "alice": "it is not user:realm:hash",
    "alice::1": "it is not user:realm:hash",
    "alice:r:SHA-1:1234": "its algorithm is none of",
    "alice:r:1234": "its MD5 hash is not 32 hexadecimal digits",
    f"alice:r:SHA-256:{'z' * 64}": "its SHA-256 hash is not 64 hexadecimal digits",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_of_a_file_of_users_is_told_without_showing_it(line: str) -> None:
    text = with_phones("{mode: challenge, realm: example.com, users_file: users.txt}")
    (found,) = problems(text, f"{USERS}{line}\n")
    assert found.startswith("users.txt:7:1: error: peers.phones.authentication.users_file: ")
    assert BAD_LINES[line] in found
    assert "1234" not in found


def test_peers_known_by_credentials_must_differ_in_them() -> None:
    more = "kind: pbx, network: outside, authentication: {mode: challenge, identify: credentials"
    text = with_trunk("{mode: challenge, identify: credentials, realm: r, users: {acme: x}}")
    text = text.replace(
        PHONES,
        f"  two: {{{more}, realm: other, users: {{acme: y}}}}}}\n"
        f"  three: {{{more}, realm: r, users: {{corp: y}}}}}}\n",
    ).replace("  - {from: pbx, to: phones}\n", "")
    realm, user = problems(text)
    assert "two.authentication.realm: strangers on network 'outside' are asked for 'r'" in realm
    assert "two.authentication.users: 'acme' is a user of peer 'trunk' too" in user


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            with_trunk("{mode: answer, username: acme, password: 0ldsecret}"),
            with_trunk("{mode: answer, username: acme, password: n3wsecret}"),
        ),
        (GOOD, with_trunk("{mode: answer, username: acme, password: n3wsecret}")),
        (
            with_phones("{mode: challenge, realm: r, users: {bob: 0ldsecret}}"),
            with_phones("{mode: challenge, realm: r, users: {bob: n3wsecret}}"),
        ),
        (GOOD, with_phones("{mode: challenge, realm: r, users: {bob: n3wsecret}}")),
    ],
    ids=["our password", "our first password", "a user's password", "the first users"],
)
def test_a_reload_tells_that_secrets_change_but_not_which(before: str, after: str) -> None:
    old, new = configuration(before), configuration(after)
    plan = diff(old, new)
    told = [str(difference) for change in plan.changes for difference in change.differences]
    hashes = [ha1_of("MD5", "bob", "r", word) for word in ("0ldsecret", "n3wsecret")]
    assert any("account" in line or "realm" in line for line in told)
    for text in (*told, repr(old), repr(new)):
        assert "secret" not in text
        assert not any(one in text for one in hashes)


def test_nothing_that_a_broken_section_says_of_users_shows_a_password() -> None:
    text = with_phones("{mode: challenge, realm: r, users: {bob: {pasword: s3cret}}}")
    assert "s3cret" not in "".join(problems(text))
