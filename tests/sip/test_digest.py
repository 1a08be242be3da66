import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc.sip.digest import (
    ALGORITHMS,
    Challenge,
    Credentials,
    Login,
    ha1_of,
    parse_challenge_untrusted,
    parse_challenges_untrusted,
    parse_credentials_untrusted,
    strongest,
)
from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response

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
        qop="auth",
        nc="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )


@pytest.mark.parametrize("algorithm", RFC_7616)
def test_the_answers_of_rfc_7616_prove_the_password(algorithm: str) -> None:
    credentials = credentials_of_rfc_7616(algorithm)
    right = ha1_of(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
    wrong = ha1_of(algorithm, "Mufasa", "http-auth@example.org", "Circle of Death")
    assert credentials.proves(right, "GET", b"")
    assert not credentials.proves(right, "POST", b"")
    assert not credentials.proves(wrong, "GET", b"")


def test_sha_512_256_is_the_hash_of_fips_180_4_and_not_a_shortened_sha_512() -> None:
    # RFC 7616 §3.9.2, whose response was made of a shortened SHA-512: erratum 4897.
    ha1 = ha1_of("SHA-512-256", "J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?")
    login = Login("J\u00e4s\u00f8n Doe", "Secret, or not?")
    request = Request("GET", "/doe.json", Headers())
    challenge = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    assert login.answer(request, a_refusal(challenge), cnonce, 0)
    made = parse_credentials_untrusted(request.headers.first("authorization") or "")
    assert made.response == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    assert made.proves(ha1, "GET", b"")


def test_the_body_is_proved_by_auth_int_only() -> None:
    # RFC 8760 §2.6: no body is the empty string.
    request = an_invite(b"v=0")
    login = Login("alice", "secret")
    assert login.answer(request, a_refusal(a_challenge(qop="auth-int")), "c", 0)
    made = parse_credentials_untrusted(request.headers.first("authorization") or "")
    ha1 = ha1_of("MD5", "alice", "r", "secret")
    assert made.qop == "auth-int"
    assert made.proves(ha1, "INVITE", b"v=0")
    assert not made.proves(ha1, "INVITE", b"")


def test_without_qop_the_digest_of_rfc_2069_is_made() -> None:
    request = an_invite()
    assert Login("alice", "secret").answer(request, a_refusal(a_challenge(qop="")), "c", 0)
    made = parse_credentials_untrusted(request.headers.first("authorization") or "")
    ha1, ha2 = (md5(text) for text in ("alice:r:secret", "INVITE:sip:bob@h"))
    assert (made.qop, made.nc, made.cnonce) == ("", "", "")
    assert made.response == md5(f"{ha1}:n1:{ha2}")


def test_an_unknown_algorithm_proves_nothing() -> None:
    credentials = Credentials("a", "r", "n", "u", "00", algorithm="MD5-sess")
    assert not credentials.proves("00", "REGISTER", b"")


def test_a_response_that_is_no_ascii_proves_nothing() -> None:
    assert not Credentials("a", "r", "n", "u", "\udcff").proves("00", "REGISTER", b"")


def test_the_strongest_challenge_that_we_can_meet_is_chosen_whatever_the_order() -> None:
    offered = [
        "Bearer realm=x",
        'Digest realm="r", nonce="1", algorithm=MD5, qop="auth"',
        'Digest realm="r", nonce="2", algorithm=sha-256, qop="auth,auth-int"',
        'Digest realm="r", nonce="3", algorithm=SHA-512-256-sess',
        'Digest realm="r", nonce="4", algorithm=SHA-512-256, qop="token"',
        'Digest realm="r"',
    ]
    chosen = strongest(parse_challenges_untrusted(offered))
    assert chosen is not None
    assert (chosen.nonce, chosen.qop) == ("2", {"auth", "auth-int"})
    assert strongest(parse_challenges_untrusted(offered[:1])) is None


def test_of_a_flood_of_challenges_only_some_are_read() -> None:
    assert len(parse_challenges_untrusted(['Digest realm="r", nonce="n"'] * 1000)) == 16


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
    "change",
    [
        ("nc=00000001", "nc=xyz"),
        (", nc=00000001", ""),
        ('username="Mufasa", ', ""),
        ("qop=auth,", "qop=other,"),
    ],
)
def test_broken_credentials_are_refused(change: tuple[str, str]) -> None:
    text = str(credentials_of_rfc_7616("MD5"))
    assert change[0] in text
    with pytest.raises(ParseError):
        parse_credentials_untrusted(text.replace(*change))


# -- the login ------------------------------------------------------------------------------------


def test_later_requests_carry_credentials_at_once_and_count() -> None:
    login = Login("alice", "secret")
    first = an_invite()
    login.again(first, "c0")
    assert not first.headers.has("authorization")
    assert login.answer(first, a_refusal(a_challenge()), "c1", 0)
    assert said(first) == ("n1", "00000001", "c1")
    second = an_invite()
    login.again(second, "c2")
    assert said(second) == ("n1", "00000002", "c2")


def test_a_wrong_password_is_said_once() -> None:
    login = Login("alice", "wrong")
    request = an_invite()
    assert login.answer(request, a_refusal(a_challenge("n1")), "c", 0)
    assert not login.answer(request, a_refusal(a_challenge("n2")), "c", 1)
    later = an_invite()
    login.again(later, "c")
    assert not later.headers.has("authorization")


def test_the_nonce_that_was_refused_is_not_answered_twice() -> None:
    login = Login("alice", "wrong")
    login.answer(an_invite(), a_refusal(a_challenge("n1")), "c", 0)
    later = an_invite()
    login.again(later, "c")
    assert not login.answer(later, a_refusal(a_challenge("n1")), "c", 0)


def test_a_server_that_forgot_our_nonce_is_answered_again() -> None:
    # Many take each nonce once, and say nothing of stale.
    login = Login("alice", "secret")
    login.answer(an_invite(), a_refusal(a_challenge("n1")), "c", 0)
    later = an_invite()
    login.again(later, "c")
    assert login.answer(later, a_refusal(a_challenge("n2")), "c", 0)
    assert said(later) == ("n2", "00000001", "c")


def test_stale_is_answered_again_but_not_for_ever() -> None:
    login = Login("alice", "secret")
    request = an_invite()
    results = [
        login.answer(request, a_refusal(a_challenge(f"n{number}", stale=True)), "c", number)
        for number in range(5)
    ]
    assert results == [True, True, True, False, False]


def test_requests_challenged_with_the_same_nonce_count_on() -> None:
    login = Login("alice", "secret")
    first, second = an_invite(), an_invite()
    assert login.answer(first, a_refusal(a_challenge("n1")), "c", 0)
    assert login.answer(second, a_refusal(a_challenge("n1")), "c", 0)
    assert (said(first)[1], said(second)[1]) == ("00000001", "00000002")


def test_a_proxy_and_the_server_behind_it_are_both_answered() -> None:
    login = Login("alice", "secret")
    request = an_invite()
    assert login.answer(request, a_refusal(a_challenge(realm="proxy"), status=407), "c", 0)
    assert login.answer(request, a_refusal(a_challenge(realm="server")), "c", 1)
    assert request.headers.has("proxy-authorization")
    assert request.headers.has("authorization")


def test_only_the_configured_realm_is_answered() -> None:
    login = Login("alice", "secret", realm="ours")
    request = an_invite()
    assert not login.answer(request, a_refusal(a_challenge(realm="theirs")), "c", 0)
    assert not request.headers.has("authorization")
    assert login.answer(request, a_refusal(a_challenge(realm="ours")), "c", 0)


def test_a_server_with_ever_new_realms_is_remembered_in_bounds() -> None:
    login = Login("alice", "secret")
    for number in range(50):
        login.answer(an_invite(), a_refusal(a_challenge(realm=str(number))), "c", 0)
    later = an_invite()
    login.again(later, "c")
    assert len(later.headers.all("authorization")) == 4


@pytest.mark.parametrize("challenge", ["Basic realm=x", 'Digest realm="r"'])
def test_what_cannot_be_met_is_not_answered(challenge: str) -> None:
    assert not Login("alice", "secret").answer(an_invite(), a_refusal(challenge), "c", 0)


def test_other_refusals_are_not_answered() -> None:
    refusal = a_refusal(a_challenge(), status=403)
    assert not Login("alice", "secret").answer(an_invite(), refusal, "c", 0)


def test_no_text_of_a_login_shows_the_password() -> None:
    login = Login("alice", "secret")
    assert "secret" not in f"{login} {login!r}"


# -- properties -----------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


@given(
    realm=TEXT,
    nonce=TEXT,
    opaque=TEXT,
    domain=TEXT,
    qop=st.frozensets(st.sampled_from(["auth", "auth-int", "other"])),
    stale=st.booleans(),
)
def test_a_challenge_survives_the_wire(
    realm: str, nonce: str, opaque: str, domain: str, qop: frozenset[str], stale: bool
) -> None:
    challenge = Challenge(realm, nonce, "MD5", qop, opaque, stale, domain)
    assert parse_challenge_untrusted(str(challenge)) == challenge


@given(
    username=TEXT,
    password=TEXT,
    cnonce=TEXT,
    algorithm=st.sampled_from(ALGORITHMS),
    qop=st.sampled_from(["", "auth", "auth-int", "auth,auth-int"]),
    body=st.binary(max_size=20),
)
def test_credentials_survive_the_wire_and_prove(
    username: str, password: str, cnonce: str, algorithm: str, qop: str, body: bytes
) -> None:
    request = an_invite(body)
    challenge = a_challenge(algorithm=algorithm, qop=qop)
    assert Login(username, password).answer(request, a_refusal(challenge), cnonce, 0)
    text = request.headers.first("authorization") or ""
    made = parse_credentials_untrusted(text)
    assert str(made) == text
    assert made.username == username
    assert made.proves(ha1_of(algorithm, username, "r", password), "INVITE", body)


@given(st.text(max_size=80).map(lambda rest: "Digest " + rest))
def test_only_parse_errors_come_of_any_text(value: str) -> None:
    assert len(parse_challenges_untrusted([value])) <= 1
    for parse in (parse_challenge_untrusted, parse_credentials_untrusted):
        try:
            parse(value)
        except ParseError:
            pass


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def an_invite(body: bytes = b"") -> Request:
    return Request("INVITE", "sip:bob@h", Headers(), body)


def a_challenge(
    nonce: str = "n1",
    *,
    realm: str = "r",
    qop: str = "auth",
    algorithm: str = "MD5",
    stale: bool = False,
) -> str:
    options = frozenset(option for option in qop.split(",") if option)
    return str(Challenge(realm, nonce, algorithm, options, stale=stale))


def a_refusal(*challenges: str, status: int = 401) -> Response:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    return Response(status, "", Headers([(name, challenge) for challenge in challenges]))


def said(request: Request) -> tuple[str, str, str]:
    made = parse_credentials_untrusted(request.headers.first("authorization") or "")
    return made.nonce, made.nc, made.cnonce
