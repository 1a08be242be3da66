"""A port that a call has just freed carries nothing of that call or an attack into a new one."""

from pathlib import Path

import pytest

from tests.attack.field import Field, Home
from tests.attack.siege import Siege
from tests.kit.hosts import Lab

pytestmark = pytest.mark.interop

FOUR_PAIRS = range(30000, 30008)


def test_a_freed_port_rests_while_the_packets_of_its_call_still_come(
    engine: str, tmp_path: Path
) -> None:
    with Lab(tmp_path) as lab:
        field = Field(lab, tmp_path, engine, outer_ports=FOUR_PAIRS)
        freed = []
        for _ in range(len(FOUR_PAIRS) // 2):
            with Siege(field, Home.PUBLIC, secure=False).is_up() as siege:
                a = siege.talk.a
                assert a.border_rtp not in freed
                for port in freed:
                    # From the very address that the new call announces too.
                    a.rtp.sendto(a.next_packet()[1], port)
                    siege.stranger.sends(a.next_packet()[1], port)
                siege.stranger.waits_for_delivery()
                siege.talk.exchanges(5)
                assert siege.counted() == siege.expected
                siege.nothing_was_bled_or_injected()
                freed.append(a.border_rtp)
        with Siege(field, Home.PUBLIC, secure=False) as siege:
            siege.talk.a.does("invite")
            siege.talk.until(lambda: siege.talk.a.phone.rejected, "the fifth call is refused")
            assert siege.talk.a.phone.rejected == [503]
        field.is_quiet()
        field.stop()
