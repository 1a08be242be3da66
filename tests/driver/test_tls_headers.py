"""Rules for headers know what a connection proves, of each message that it brings."""

from dataclasses import replace
from pathlib import Path

import pytest

from sbc.policy.load import combine, load_policy
from tests.driver.test_tls_identity import ANYWHERE, CARRIER, STRICT, STRICT_UDP, TEXT, invite
from tests.kit.certificates import Authority
from tests.kit.switchboard import ANSWER, ROOT, Board, a_configuration, a_message

SEEN = """
headers:
  - name: what came by TLS
    toward: pbx
    when: {tls_version: {above: 1.2}, client_certificate: true, certificate: sip.carrier.example}
    do: [{set: X-Seen, value: "tls"}]
  - name: what came without
    toward: pbx
    when: {tls_version: {below: 1}, client_certificate: false}
    do: [{set: X-Seen, value: "clear"}]
  - name: what comes by TLS
    direction: in
    on: both
    from: carrier
    when: {client_certificate: true}
    do: [{set: Subject, value: "proven"}]
  - name: refused by TLS
    on: responses
    when: {tls_version: {above: 1}, client_certificate: false}
    do: [{remove: Warning}]
"""


@pytest.fixture
def board(tmp_path: Path) -> Board:
    Authority().issue("sbc.example").write(tmp_path)
    shipped = (ROOT / "policies/edge-default.yaml").read_text()
    loaded = [load_policy(shipped, "edge-default.yaml"), load_policy(SEEN, "headers.yaml")]
    assert not any(policy.broken for policy in loaded)
    configuration = a_configuration(TEXT.format(tmp_path))
    return Board(replace(configuration, policies=combine(loaded)))


def test_rules_for_headers_know_tls_of_each_message(board: Board) -> None:
    _, by_tls = invite(board, ANYWHERE, "sip.carrier.example")
    assert by_tls.message.headers.first("x-seen") == "tls"
    assert by_tls.message.headers.first("subject") == "proven"
    _, clear = invite(board, CARRIER._replace(transport="tcp"), call=2)
    assert clear.message.headers.first("x-seen") == "clear"
    assert not clear.message.headers.has("subject")
    (refused,) = invite(board, STRICT, call=3)
    assert (refused.title, refused.message.headers.has("warning")) == ("403 INVITE", False)


def test_a_request_in_a_call_is_judged_by_the_connection_that_brings_it(
    board: Board,
) -> None:
    _, asked = invite(board, ANYWHERE, "sip.carrier.example")
    contact = ("Contact: <sip:600@192.168.1.5>",)
    sent = board.reply(asked, 200, headers=contact, body=ANSWER)
    (answered,) = [one for one in sent if one.title == "200 INVITE"]
    for cseq, (flow, proven) in enumerate(((ANYWHERE, True), (STRICT_UDP, False)), start=10):
        branch, tag = f"z9hG4bK-{cseq}", answered.message.to_tag
        info = a_message("INFO", branch=branch, call_id="c-1", to_tag=tag, cseq=cseq)
        (passed,) = board.give(flow, info)
        assert passed.title == "INFO"
        assert (passed.message.headers.first("subject") == "proven") is proven
        board.reply(passed, 200)
