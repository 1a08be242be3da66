import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.demo.digest import (
    Challenge,
    Credentials,
    answer,
    choose,
    parse_challenge_untrusted,
    parse_credentials_untrusted,
)
from sbc.sip.errors import ParseError

# RFC 7616 §3.9.1: one request, answered in both algorithms.
RFC_7616 = {
    "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}


def credentials_of_rfc_7616(algorithm: str) -> Credentials:
    return Credentials(
        username="Mufasa",
        realm="http-auth@example.org",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        uri="/dir/index.html",
        response=RFC_7616[algorithm],
        algorithm=algorithm,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        nonce_count=1,
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )


@pytest.mark.parametrize("algorithm", RFC_7616)
def test_the_answers_of_rfc_7616_prove_the_password(algorithm: str) -> None:
    credentials = credentials_of_rfc_7616(algorithm)
    assert credentials.proves("GET", "Circle of Life")
    assert not credentials.proves("POST", "Circle of Life")
    assert not credentials.proves("GET", "Circle of Death")


def test_without_qop_the_older_digest_is_used() -> None:
    # RFC 2617 §3.5's values, without its qop.
    challenge = Challenge(realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11", qop=False)
    made = answer(challenge, "Mufasa", "pw", method="GET", uri="/", cnonce="x", nonce_count=1)
    assert (made.nonce_count, made.cnonce) == (0, "")
    assert made.proves("GET", "pw")


def test_an_unknown_algorithm_proves_nothing() -> None:
    credentials = Credentials("a", "r", "n", "u", "00", algorithm="SHA-512-256")
    assert not credentials.proves("REGISTER", "pw")


def test_a_response_that_is_no_ascii_proves_nothing() -> None:
    assert not Credentials("a", "r", "n", "u", "\udcff").proves("REGISTER", "pw")


def test_the_first_challenge_we_can_meet_is_chosen() -> None:
    offered = [
        "Bearer realm=x",
        'Digest realm="r", nonce="1", algorithm=SHA-512-256',
        'Digest realm="r", nonce="2", algorithm=sha-256, qop="auth,auth-int"',
        'Digest realm="r", nonce="3", algorithm=MD5',
    ]
    chosen = choose(offered)
    assert chosen is not None
    assert (chosen.nonce, chosen.qop) == ("2", True)
    assert choose(offered[:2]) is None


@pytest.mark.parametrize(
    "value",
    [
        "Basic abc",
        "Digest",
        'Digest realm="r"',
        'Digest realm="r", nonce="n", realm="again"',
        'Digest realm="r", nonce="n", broken',
        'Digest realm="r", =x, nonce="n"',
    ],
)
def test_a_broken_challenge_is_refused(value: str) -> None:
    with pytest.raises(ParseError):
        parse_challenge_untrusted(value)


@pytest.mark.parametrize(
    "change", [("nc=00000001", "nc=xyz"), ("nc=00000001, ", ""), ('username="Mufasa", ', "")]
)
def test_broken_credentials_are_refused(change: tuple[str, str]) -> None:
    text = str(credentials_of_rfc_7616("MD5"))
    assert change[0] in text
    with pytest.raises(ParseError):
        parse_credentials_untrusted(text.replace(*change))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(realm=TEXT, nonce=TEXT, opaque=TEXT, qop=st.booleans(), stale=st.booleans())
def test_a_challenge_survives_the_wire(
    realm: str, nonce: str, opaque: str, qop: bool, stale: bool
) -> None:
    challenge = Challenge(realm, nonce, qop=qop, opaque=opaque, stale=stale)
    assert parse_challenge_untrusted(str(challenge)) == challenge


@given(username=TEXT, password=TEXT, cnonce=TEXT, count=st.integers(0, 2**32 - 1))
def test_credentials_survive_the_wire_and_still_prove(
    username: str, password: str, cnonce: str, count: int
) -> None:
    challenge = Challenge(realm="r", nonce="n", qop=bool(count))
    made = answer(
        challenge,
        username,
        password,
        method="REGISTER",
        uri="sip:h",
        cnonce=cnonce,
        nonce_count=count,
    )
    read = parse_credentials_untrusted(str(made))
    assert read == made
    assert read.proves("REGISTER", password)


@given(st.text(max_size=80).map(lambda rest: "Digest " + rest))
def test_only_parse_errors_come_of_any_text(value: str) -> None:
    for parse in (parse_challenge_untrusted, parse_credentials_untrusted):
        try:
            parse(value)
        except ParseError:
            pass
