"""Calls over UDP or TLS: caller and callee in one process, for SIPp has no TLS here.

The call is the one of `caller.xml` and `callee.xml`. Nothing is sent twice; instead a call is late
when an answer or the ACK took so long that SIPp would have sent again. When all connections are
there it makes some calls to warm the system, prints `ready`, waits for a line and makes the others.
The last line is JSON; times are milliseconds.

    python -m tests.bench.tls_calls --caller tls --callee udp --rate 200 --calls 1000
"""

import argparse
import heapq
import itertools
import json
import random
import re
import select
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.latency import URI, Message, description, encoded, quantiles
from tests.bench.load import (
    CALLEE_PORT,
    HOST,
    LONGEST_HOLD_MS,
    RING_MS,
    SHORTEST_HOLD_MS,
    SYSTEM_PORT,
)
from tests.bench.tls_wires import Datagrams, Listener, Wire, connect

SECURED_PORT = SYSTEM_PORT + 1
SECURED_CALLEE_PORT = CALLEE_PORT + 1
_WARM_CALLS = 30
_WARM_RATE = 30.0
_WARM_HOLD_MS = 200
_LATE_S = 0.5
"""T1, after which SIPp would send again."""
_GIVE_UP_S = 4.0
_ROUTE = re.compile(r"<[^>]*>")


class Loop:
    """What is to be done when something comes, or at its time."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def watch(self, number: int, read: Callable[[], None]) -> None:
        """Read a descriptor whenever something came."""
        self._readers[number] = read
        self._epoll.register(number, select.EPOLLIN)

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something at its time."""
        heapq.heappush(self._due, (when, next(self._numbers), what))

    def run(self, end: float, finished: Callable[[], bool]) -> None:
        """Go on until that time, or until all is done; what was still to do is forgotten."""
        while not finished() and (now := time.perf_counter()) < end:
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            wake = self._due[0][0] if self._due else end
            for number, _ in self._epoll.poll(max(0.0, wake - time.perf_counter())):
                self._readers[number]()
        self._due.clear()


@dataclass(slots=True)
class _Call:
    name: str
    wire: Wire
    hold_s: float
    target: str
    asked: float = 0.0
    """When its INVITE, later its BYE, was sent; 0 once that was answered."""
    began: float = 0.0
    to: str = ""
    routes: tuple[str, ...] = ()

    def request(self, method: str, number: int, more: Sequence[str] = (), body: str = "") -> None:
        """Send the next request of the call."""
        host, port = self.wire.sock.getsockname()[:2]
        via = f"SIP/2.0/{self.wire.name} {host}:{port};branch=z9hG4bK{self.name}{method};rport"
        lines = [
            f"{method} {self.target} SIP/2.0",
            f"Via: {via}",
            *(f"Route: {route}" for route in self.routes),
            "Max-Forwards: 70",
            f'From: "Bench Caller" <sip:alice@bench.example>;tag={self.name}',
            f"To: {self.to}",
            f"Call-ID: {self.name}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:alice@{host}:{port};transport={self.wire.name.lower()}>",
            *more,
        ]
        self.wire.send(encoded(lines, body))


_OFFER = (
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY",
    "Supported: replaces, timer",
    "User-Agent: bench-caller",
    "P-Asserted-Identity: <sip:+15550100@bench.example>",
    "Session-Expires: 1800",
    "Min-SE: 90",
)


class Callers:
    """Who calls, over one wire after the other."""

    def __init__(self, loop: Loop, wires: Sequence[Wire], ring_s: float) -> None:
        self._loop = loop
        self._wires = wires
        self._ring_s = ring_s
        self._names = (f"{time.time_ns():x}-{number}" for number in itertools.count())
        self._calls: dict[str, _Call] = {}
        self._random = random.Random(1)
        self.last = 0.0
        """When the last call was begun."""
        self.begun = self.done = self.late = self.again = 0
        self.setups: list[float] = []
        for wire in wires:
            loop.watch(wire.sock.fileno(), partial(self._read, wire))

    def begin(self, hold_ms: int | None) -> None:
        """Begin a call."""
        wire = self._wires[self.begun % len(self._wires)]
        name = next(self._names)
        self.begun += 1
        shortest, longest = (
            (SHORTEST_HOLD_MS, LONGEST_HOLD_MS) if hold_ms is None else [hold_ms] * 2
        )
        secured = wire.name == "TLS"
        port, words = (SECURED_PORT, ";transport=tls") if secured else (SYSTEM_PORT, "")
        target = f"sip:bench@{HOST}:{port}{words}"
        call = _Call(name, wire, self._random.uniform(shortest, longest) / 1000, target)
        call.to = f"<{target}>"
        self._calls[name] = call
        self.last = call.asked = call.began = time.perf_counter()
        call.request("INVITE", 1, _OFFER, description("alice", 30000))

    def _read(self, wire: Wire) -> None:
        for data in wire.receive():
            message = Message(data)
            call = self._calls.get(message.first("call-id"))
            if call is not None and message.start.startswith("SIP/2.0 "):
                self._take(call, message)

    def _take(self, call: _Call, message: Message) -> None:
        status, now = message.start[8:11], time.perf_counter()
        if call.asked:
            self.late += now - call.asked > _LATE_S
            call.asked = 0.0
        if message.first("cseq").endswith("BYE"):
            self.done += status == "200"
            del self._calls[call.name]
        elif status == "200":
            if call.routes or "tag=" in call.to:
                self.again += 1
                return
            self.setups.append(now - call.began - self._ring_s)
            self._answered(call, message)
            self._loop.at(now + call.hold_s, lambda: self._hang_up(call))

    def _answered(self, call: _Call, message: Message) -> None:
        call.to = message.first("to")
        contact = URI.search(message.first("contact"))
        call.target = contact.group() if contact else call.target
        recorded = [value for name, value in message.fields if name == "record-route"]
        call.routes = tuple(_ROUTE.findall(",".join(recorded))[::-1])
        call.request("ACK", 1)

    def _hang_up(self, call: _Call) -> None:
        call.asked = time.perf_counter()
        call.request("BYE", 2)


class Callees:
    """Who is called: 100, 180, a while of ringing, 200."""

    def __init__(self, loop: Loop, ring_s: float, contact: str) -> None:
        self._loop = loop
        self._ring_s = ring_s
        self._contact = f"Contact: <{contact}>"
        self._answered: dict[str, float] = {}
        """When its 200 was sent, until its ACK came."""
        self._taken: set[str] = set()
        self.done = self.late = self.again = 0

    def serve(self, wire: Wire) -> None:
        """Answer what comes over this wire."""
        self._loop.watch(wire.sock.fileno(), lambda: self._read(wire))

    def listen(self, listener: Listener) -> None:
        """Answer what comes over any connection to us."""
        self._loop.watch(listener.sock.fileno(), lambda: self.serve(listener.accept()))

    def _read(self, wire: Wire) -> None:
        for data in wire.receive():
            message = Message(data)
            method, name = message.start.partition(" ")[0], message.first("call-id")
            if method == "ACK":
                sent = self._answered.pop(name, 0.0)
                self.late += time.perf_counter() - sent > _LATE_S
            elif method == "BYE":
                self.done += name not in self._answered
                wire.send(encoded(message.answer("200 OK")))
            elif method == "INVITE":
                self._ring(wire, message, name)

    def _ring(self, wire: Wire, invite: Message, name: str) -> None:
        if name in self._taken:
            self.again += 1
            return
        self._taken.add(name)
        tag = f";tag=e{len(self._taken)}"
        if self._ring_s:
            wire.send(encoded(invite.answer("100 Trying")))
        wire.send(encoded(invite.answer("180 Ringing", to_tag=tag, more=(self._contact,))))

        def answer() -> None:
            self._answered[name] = time.perf_counter()
            ok = invite.answer("200 OK", to_tag=tag, more=(self._contact,))
            wire.send(encoded(ok, description("bob", 30002)))

        self._loop.at(time.perf_counter() + self._ring_s, answer)


def make_calls(
    loop: Loop, callers: Callers, callees: Callees, rate: float, calls: int, hold_ms: int | None
) -> dict[str, object]:
    """Make so many calls, so many a second, and tell how it went."""
    callers.begun = callers.done = callers.late = callers.again = 0
    callees.done = callees.late = callees.again = 0
    callers.setups.clear()
    start = time.perf_counter()
    for number in range(calls):
        loop.at(start + number / rate, lambda: callers.begin(hold_ms))
    longest_s = (LONGEST_HOLD_MS if hold_ms is None else hold_ms) / 1000
    end = start + calls / rate + longest_s + _GIVE_UP_S
    loop.run(end, lambda: callers.done >= calls)
    return {
        "calls": calls,
        "failed": calls - min(callers.done, callees.done),
        "late": callers.late + callees.late,
        "again": callers.again + callees.again,
        "offered": round((callers.begun - 1) / max(1e-3, callers.last - start), 1),
        "setup": quantiles(callers.setups)
        | {"worst": round(max(callers.setups, default=0.0) * 1000, 1)},
    }


def main() -> None:
    """Load a running system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--caller", choices=("udp", "tls"), default="udp")
    parser.add_argument("--callee", choices=("udp", "tls"), default="udp")
    parser.add_argument("--rate", type=float, default=50.0, help="calls per second")
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--connections", type=int, default=10, help="the callers have")
    parser.add_argument("--ring-ms", type=int, default=RING_MS)
    parser.add_argument("--hold-ms", type=int, help="without it spread as SIPp's are")
    parser.add_argument("--certificate", type=Path, help="the callee's")
    parser.add_argument("--key", type=Path)
    chosen = parser.parse_args()
    loop, ring_s = Loop(), chosen.ring_ms / 1000
    if chosen.callee == "tls":
        contact = f"sip:bob@{HOST}:{SECURED_CALLEE_PORT};transport=tls"
        callees = Callees(loop, ring_s, contact)
        callees.listen(Listener(SECURED_CALLEE_PORT, chosen.certificate, chosen.key))
    else:
        callees = Callees(loop, ring_s, f"sip:bob@{HOST}:{CALLEE_PORT}")
        callees.serve(Datagrams(CALLEE_PORT))
    wires: list[Wire] = [Datagrams(0, (HOST, SYSTEM_PORT))]
    if chosen.caller == "tls":
        wires = [connect(SECURED_PORT) for _ in range(chosen.connections)]
    callers = Callers(loop, wires, ring_s)
    make_calls(loop, callers, callees, _WARM_RATE, _WARM_CALLS, _WARM_HOLD_MS)
    print("ready", flush=True)
    sys.stdin.readline()
    used = time.process_time(), time.perf_counter()
    figures = make_calls(loop, callers, callees, chosen.rate, chosen.calls, chosen.hold_ms)
    share = (time.process_time() - used[0]) / (time.perf_counter() - used[1])
    print(json.dumps(figures | {"load_cores": round(share, 2)}))


if __name__ == "__main__":
    main()
