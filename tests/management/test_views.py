"""What the control commands answer, beside the lists that have their own tests."""

import json
from types import SimpleNamespace
from typing import cast

from media.relay import Relay
from sbc.driver.switchboard import Switchboard
from sbc.firewall.socket_filter import SocketFilter
from sbc.management.certificates import CertificateWatch
from sbc.management.lists import ListWatch
from sbc.management.log import Log
from sbc.management.views import Views
from sbc.resolver.cache import ResolverStatistics
from sbc.resolver.locator import Locator
from sbc.state.bindings import BindingStore
from sbc.state.sqlite import CdrStore
from sbc.transport.transports import Transports
from tests.management.a_call import a_call, counted


async def test_the_story_of_an_ended_call_tells_what_was_measured() -> None:
    call = a_call()
    call.counters = [counted(0, 7)]
    board = SimpleNamespace(calls=SimpleNamespace(by_name=lambda name: call))
    nothing = SimpleNamespace()
    views = Views(
        cast("Switchboard", board),
        cast("Relay", nothing),
        cast("Transports", nothing),
        cast("CdrStore", nothing),
        cast("BindingStore", nothing),
        cast("Locator", nothing),
        cast("CertificateWatch", nothing),
        cast("ListWatch", nothing),
        ResolverStatistics(),
        cast("SocketFilter", nothing),
        cast("Log", nothing),
        wall=lambda: 0.0,
    )
    told = json.loads(json.dumps(views.call("c1")))
    (stream,) = told["media"]
    assert (stream["index"], stream["clock_hz"]) == (0, 8000)
    assert stream["a"] == {
        "packets": 500,
        "octets": 86_000,
        "lost": 7,
        "jitter_ms": 2.0,
        "longest_burst": 7,
        "worst_loss_percent": 2.0,
        "mos": None,
        "worst_mos": None,
        "mos_codec": None,
        "round_trip_ms": None,
        "reported_lost": None,
        "reported_jitter_ms": None,
        "lost_behind_us": None,
        "rtcp_packets": 0,
        "sent_packets": 0,
        "jitter_ticks": 16.0,
        "last_second": {"expected": 50, "lost": 0},
        "last_mos": None,
        "loss_runs": 1,
        "burst_ratio": 2.0,
        "drops": {},
    }
