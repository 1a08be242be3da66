"""What `register` of a trunk may say, and what becomes of it."""

from sbc.config.reload import diff
from sbc.config.trunks import RegisterSection
from sbc.routing.model import Peer
from sbc.routing.registering import Registering
from tests.config.files import GOOD
from tests.config.test_authentication import configuration

TRUNK = "    sources: [198.51.100.0/28]\n"


def text(register: str, *more: str) -> str:
    lines = [f"register: {register}", *more]
    return GOOD.replace(TRUNK, TRUNK + "".join(f"    {line}\n" for line in lines))


def trunk(register: str, *more: str) -> Peer:
    peers = configuration(text(register, *more)).settings.peers
    return next(peer for peer in peers if peer.name == "trunk")


def test_a_user_is_all_that_is_needed():
    peer = trunk("{user: '4930123'}")
    host = "sip.carrier.example"
    assert peer.registering == Registering("4930123", host, host, "4930123", 600)
    assert peer.domain == host


def test_everything_can_be_said():
    peer = trunk(
        "{user: acme, contact: '+4930123', registrar: reg.carrier.example, expires: 300}",
        "domain: carrier.example",
    )
    assert peer.registering == Registering(
        "acme", "carrier.example", "reg.carrier.example", "+4930123", 300
    )
    assert peer.domain == "carrier.example"


def test_the_user_is_that_of_the_account_where_nothing_else_is_said():
    peer = trunk("{}", "authentication: {mode: answer, username: acme, password: secret}")
    assert peer.registering is not None
    assert (peer.registering.user, peer.registering.contact) == ("acme", "acme")


def test_without_the_section_nothing_is_registered():
    peers = configuration(GOOD).settings.peers
    assert [peer.registering for peer in peers] == [None] * 3


def test_defaults_of_the_file_are_those_of_the_core():
    assert RegisterSection().expires == Registering("u", "d", "r", "c").expires_s


def test_a_reload_tells_what_differs():
    old, new = (configuration(text(f"{{user: '1', expires: {s}}}")) for s in (300, 600))
    changes = diff(old, new).changes
    texts = [str(one) for change in changes for one in change.differences]
    assert "peers.trunk.registering.expires_s: 300 -> 600" in texts
