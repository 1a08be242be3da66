from sbc.routing.accounts import Account, Logins, User

ACME = Account("acme", "secret")


def test_no_text_of_an_account_or_user_shows_a_secret() -> None:
    user = User("alice", {"MD5": "0123456789abcdef"})
    assert "secret" not in f"{ACME} {ACME!r}"
    assert "0123" not in f"{user} {user!r}"


def test_a_user_is_what_its_addresses_say() -> None:
    assert User("alice", {}, frozenset({"200"})).may_be("200")
    assert not User("alice", {}, frozenset({"200"})).may_be("alice")
    assert User("alice", {}).may_be("anybody")


def test_a_login_outlives_a_reload_that_does_not_touch_its_account() -> None:
    logins = Logins()
    logins.configure([("trunk", ACME), ("pbx", None)])
    before = logins.of("trunk")
    assert before is not None
    assert logins.of("pbx") is None
    logins.configure([("other", ACME), ("trunk", Account("acme", "secret"))])
    assert logins.of("trunk") is before


def test_a_new_password_holds_from_the_next_request_on() -> None:
    logins = Logins()
    logins.configure([("trunk", ACME)])
    logins.configure([("trunk", Account("acme", "another"))])
    login = logins.of("trunk")
    assert login is not None
    assert login.password == "another"
    logins.configure([])
    assert logins.of("trunk") is None
