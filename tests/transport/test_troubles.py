"""An operator is told of what fails, and not more than can be read."""

from sbc.sip.flow import Flow
from sbc.transport.troubles import LINES, WINDOW_S, Troubles

FLOW = Flow("public", "tls", ("0.0.0.0", 5061), ("192.0.2.7", 40000), 1)


def test_each_network_and_each_peer_has_lines_of_its_own() -> None:
    told: list[tuple[Flow, str, int]] = []
    troubles = Troubles(lambda *line: told.append(line))
    for _ in range(LINES + 5):
        troubles.add(FLOW, "no TLS", 0.0)
    assert told == [(FLOW, "no TLS", 0)] * LINES
    told.clear()
    others = [FLOW._replace(network="other"), FLOW._replace(peer="carrier")]
    for other in others:
        troubles.add(other, "expired", 1.0)
    assert told == [(other, "expired", 0) for other in others]
    told.clear()
    troubles.add(FLOW, "no TLS", WINDOW_S)
    assert told == [(FLOW, "no TLS", 5)]
