"""Set-up latency in microseconds: caller and callee in one process, one clock.

SIPp stamps with the kernel's tick, four milliseconds on many machines, so it cannot tell 1 ms
from 4. Here both ends are plain UDP sockets in one loop; calls begin at even intervals. Prints
one JSON line; times are milliseconds as the caller sees them, `transit` is from the caller's
INVITE sent to the callee's INVITE received.

    python -m tests.bench.latency --rate 50 --calls 400
"""

import argparse
import heapq
import json
import re
import select
import socket
import time
from dataclasses import dataclass, field

from tests.bench.load import CALLEE_PORT, HOST, SYSTEM_PORT

_HOLD_S = 0.5
_GIVE_UP_S = 5.0
CRLF = "\r\n"
URI = re.compile(r"sips?:[^>\s]+")
_COPIED = ("via", "record-route", "from", "call-id", "cseq")
_QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


@dataclass(slots=True)
class _Call:
    call_id: str
    began: float
    answered: bool = False
    hung_up: float | None = None
    to: str = ""
    target: str = ""
    seen: set[str] = field(default_factory=set)


class Message:
    """The few fields of a SIP message that both ends need."""

    __slots__ = ("fields", "start")

    def __init__(self, data: bytes) -> None:
        lines = data.decode("latin-1").split(CRLF * 2, 1)[0].split(CRLF)
        self.start = lines[0]
        self.fields = [
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(":") for line in lines[1:])
        ]

    def first(self, name: str) -> str:
        """The first field of that name, in small letters."""
        return next((value for field_name, value in self.fields if field_name == name), "")

    def answer(self, status: str, *, to_tag: str = "", more: tuple[str, ...] = ()) -> list[str]:
        """The lines of a response up to the body's own."""
        copied = [f"{name}: {value}" for name, value in self.fields if name in _COPIED]
        return [f"SIP/2.0 {status}", *copied, f"To: {self.first('to')}{to_tag}", *more]


class Probe:
    """Both ends of every call."""

    def __init__(self, rate: float, calls: int) -> None:
        self._rate = rate
        self._total = calls
        self._caller = _bound(0)
        self._callee = _bound(CALLEE_PORT)
        self._me = f"{HOST}:{self._caller.getsockname()[1]}"
        self._run = f"{time.time_ns():x}"
        self._calls: dict[str, _Call] = {}
        self._hang_ups: list[tuple[float, str]] = []
        self._begun: list[float] = []
        self._arrived = 0
        self._done = 0
        self._sent_again = 0
        self._times: dict[str, list[float]] = {
            name: [] for name in ("transit", "100", "180", "200", "bye")
        }

    def run(self) -> dict[str, object]:
        """Make all calls and return the figures."""
        start = time.perf_counter()
        end = start + self._total / self._rate + _HOLD_S + _GIVE_UP_S
        while self._done < self._total and (now := time.perf_counter()) < end:
            due = start + len(self._begun) / self._rate
            if len(self._begun) < self._total and now >= due:
                self._begin_call()
                continue
            while self._hang_ups and self._hang_ups[0][0] <= now:
                self._hang_up(heapq.heappop(self._hang_ups)[1])
            wakes = [due] if len(self._begun) < self._total else [end]
            wakes += [self._hang_ups[0][0]] if self._hang_ups else []
            readable, _, _ = select.select(
                [self._caller, self._callee], [], [], max(0.0, min(wakes) - now)
            )
            for end_point in readable:
                self._read(end_point)
        figures: dict[str, object] = {
            "calls": self._total,
            "failed": self._total - self._done,
            "sent_again": self._sent_again,
        }
        for name, times in self._times.items():
            figures[name] = quantiles(times)
        return figures

    def _read(self, end_point: socket.socket) -> None:
        while True:
            try:
                data, source = end_point.recvfrom(65535)
            except BlockingIOError:
                return
            now = time.perf_counter()
            message = Message(data)
            if end_point is self._callee:
                self._on_request(message, source, now)
            elif message.start.startswith("SIP/2.0"):
                self._on_response(message, now)

    def _begin_call(self) -> None:
        name = f"{self._run}-{len(self._begun)}"
        data = encoded(
            [
                f"INVITE sip:bench@{HOST}:{SYSTEM_PORT} SIP/2.0",
                f"Via: SIP/2.0/UDP {self._me};branch=z9hG4bK{name};rport",
                "Max-Forwards: 70",
                f'From: "Bench Caller" <sip:alice@bench.example>;tag={name}',
                f"To: <sip:bench@{HOST}:{SYSTEM_PORT}>",
                f"Call-ID: {name}",
                "CSeq: 1 INVITE",
                f"Contact: <sip:alice@{self._me}>",
                "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE",
                "Supported: replaces, timer",
                "User-Agent: bench-probe",
                "P-Asserted-Identity: <sip:+15550100@bench.example>",
            ],
            description("alice", 30000),
        )
        now = time.perf_counter()
        self._calls[name] = _Call(name, now)
        self._begun.append(now)
        self._caller.sendto(data, (HOST, SYSTEM_PORT))

    def _on_request(self, message: Message, source: tuple[str, int], now: float) -> None:
        if message.start.startswith("INVITE "):
            # In the order begun: a system may change every name that a call could be told by,
            # and on loopback nothing overtakes. A repeated INVITE would break the count.
            if self._arrived < len(self._begun):
                self._times["transit"].append(now - self._begun[self._arrived])
            self._arrived += 1
            tag = f";tag=e{self._run}{self._arrived}"
            contact = (f"Contact: <sip:{HOST}:{CALLEE_PORT}>",)
            ringing = message.answer("180 Ringing", to_tag=tag, more=contact)
            answer = message.answer("200 OK", to_tag=tag, more=contact)
            self._callee.sendto(encoded(ringing), source)
            self._callee.sendto(encoded(answer, description("bob", 30002)), source)
        elif message.start.startswith("BYE "):
            self._callee.sendto(encoded(message.answer("200 OK")), source)

    def _on_response(self, message: Message, now: float) -> None:
        call = self._calls.get(message.first("call-id"))
        if call is None:
            return
        status = message.start[8:11]
        if message.first("cseq").endswith("BYE"):
            if call.hung_up is not None and status == "200":
                self._times["bye"].append(now - call.hung_up)
                self._done += 1
                del self._calls[call.call_id]
            return
        if status in call.seen:
            self._sent_again += 1
        elif status in self._times:
            call.seen.add(status)
            self._times[status].append(now - call.began)
        if status == "200":
            self._on_answer(call, message, now)

    def _on_answer(self, call: _Call, message: Message, now: float) -> None:
        call.to = message.first("to")
        target = URI.search(message.first("contact"))
        call.target = target.group() if target else f"sip:{HOST}:{SYSTEM_PORT}"
        self._in_call(call, "ACK", 1)
        if not call.answered:
            call.answered = True
            heapq.heappush(self._hang_ups, (now + _HOLD_S, call.call_id))

    def _hang_up(self, name: str) -> None:
        call = self._calls[name]
        call.hung_up = time.perf_counter()
        self._in_call(call, "BYE", 2)

    def _in_call(self, call: _Call, method: str, number: int) -> None:
        lines = [
            f"{method} {call.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._me};branch=z9hG4bK{call.call_id}{method};rport",
            "Max-Forwards: 70",
            f'From: "Bench Caller" <sip:alice@bench.example>;tag={call.call_id}',
            f"To: {call.to}",
            f"Call-ID: {call.call_id}",
            f"CSeq: {number} {method}",
        ]
        self._caller.sendto(encoded(lines), (HOST, SYSTEM_PORT))


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_000_000)
    made.bind((HOST, port))
    made.setblocking(False)
    return made


def description(who: str, port: int) -> str:
    """SDP of one end."""
    lines = ["v=0", f"o={who} 1 1 IN IP4 {HOST}", "s=-", f"c=IN IP4 {HOST}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP 0 101", "a=rtpmap:0 PCMU/8000"]
    lines += ["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=sendrecv"]
    return CRLF.join([*lines, ""])


def encoded(lines: list[str], body: str = "") -> bytes:
    """A message of its lines and its body."""
    content = ["Content-Type: application/sdp"] if body else []
    return CRLF.join([*lines, *content, f"Content-Length: {len(body)}", "", body]).encode()


def quantiles(times: list[float]) -> dict[str, float]:
    """What shares of times in seconds stay below, in milliseconds."""
    ordered = sorted(times)
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)
        for name, share in _QUANTILES
        if ordered
    }


def main() -> None:
    """Probe a running system."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=50.0, help="calls per second")
    parser.add_argument("--calls", type=int, default=400)
    chosen = parser.parse_args()
    print(json.dumps(Probe(chosen.rate, chosen.calls).run()))


if __name__ == "__main__":
    main()
