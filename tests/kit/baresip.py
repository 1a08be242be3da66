"""A real softphone on a host: registers, dials, answers, holds, and keeps what it heard."""

import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kit import sound
from tests.kit.hosts import Host, Program, wait_until
from tests.kit.patience import PATIENCE_S

MODULES = Path("/usr/lib/baresip/modules")
_TUNE_S = 60.0

_CONFIG = """\
poll_method             epoll
sip_listen              {listen}
call_local_timeout      60
call_max_calls          4
audio_source            aufile,{tune}
audio_player            aubridge,{name}
audio_alert             aubridge,{name}-alert
audio_level             no
ausrc_srate             8000
auplay_srate            8000
ausrc_channels          1
auplay_channels         1
audio_buffer            20-160
rtp_tos                 184
rtcp_mux                {mux}
jitter_buffer_delay     2-5
rtp_stats               yes
snd_path                {recordings}
module_path             {modules}
module                  stdio.so
module                  g711.so
module                  aufile.so
module                  aubridge.so
module                  sndfile.so
module                  srtp.so
module_tmp              account.so
module_app              menu.so
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the phone is and how it reaches the SIP network."""

    user: str
    domain: str
    outbound: str | None = None
    """``host:port`` of the proxy all requests go to; None to go straight to the domain."""
    password: str = ""
    register_s: int = 0
    """Seconds of registration; 0 not to register."""
    transport: str = "udp"
    srtp: bool = False
    """Whether SRTP by SDES is mandatory for this phone."""
    rtcp_mux: bool = False

    @property
    def line(self) -> str:
        """The line of baresip's accounts file."""
        parts = [f"<sip:{self.user}@{self.domain};transport={self.transport}>"]
        parts += [f"regint={self.register_s}", "answermode=auto", "audio_codecs=PCMU/8000/1"]
        if self.password:
            parts.append(f"auth_user={self.user};auth_pass={self.password}")
        if self.outbound:
            parts.append(f'outbound="sip:{self.outbound};transport={self.transport}"')
        if self.srtp:
            parts.append("mediaenc=srtp-mand")
        return ";".join(parts) + "\n"


class Phone:
    """One running baresip."""

    def __init__(self, program: Program, keys: int, recordings: Path) -> None:
        self.program = program
        self._keys = keys
        self._recordings = recordings
        self._calls_up = 0

    def command(self, text: str) -> None:
        """Type one long command, for example ``dial sip:600@example``."""
        os.write(self._keys, f"/{text}\n".encode())

    def registered(self, *, within_s: float = 10) -> None:
        """Wait for the first successful registration."""
        self.program.expect("[1 binding]", within_s=within_s)

    def dial(self, uri: str, *, within_s: float = 10) -> None:
        """Call and wait until the call is up."""
        self.command(f"dial {uri}")
        self.in_call(within_s=within_s)

    def in_call(self, *, within_s: float = 10) -> None:
        """Wait until the next call of this phone is up."""
        self._calls_up += 1
        self.program.expect("Call established", within_s=within_s, times=self._calls_up)

    def hang_up(self) -> None:
        """End the call."""
        self.command("hangup")

    def call_ended(self, *, within_s: float = 10) -> None:
        """Wait until the latest call has ended, whoever ended it."""
        self.program.expect("terminated (duration", within_s=within_s, times=self._calls_up)

    def quit(self) -> None:
        """End the phone as its user would: it takes its registration back."""
        self.command("quit")

    def heard(self) -> list[int]:
        """The latest recording of what the phone received, as far as it is written."""
        files = sorted(self._recordings.glob("dump-*-dec.wav"))
        return sound.read_wav(files[-1]) if files else []

    def hears_tune(self, tune: str, seconds: float, *, within_s: float) -> None:
        """Wait until an unbroken stretch of somebody's tune was received.

        Raises:
            NeverHappened: it was not; what was heard last is in the message.
        """
        notes = sound.TUNES[tune]
        wait_until(
            lambda: (
                sound.seconds_of_tune(self.heard()[-int(sound.RATE_HZ * seconds * 3) :], notes)
                >= seconds
            ),
            within_s=within_s,
            what=f"{seconds:g} s of {tune}'s tune at {self.program.name}",
        )


@contextmanager
def running_phone(host: Host, account: Account, *, tune: str, port: int = 5060) -> Iterator[Phone]:
    """Run a phone on a host; it answers every call and plays `tune` (see `sound.TUNES`)."""
    directory = host.logs / f"baresip-{host.name}-{account.user}"
    recordings = directory / "heard"
    recordings.mkdir(parents=True)
    tune_file = directory / "tune.wav"
    sound.write_wav(tune_file, sound.tune(sound.TUNES[tune], _TUNE_S))
    address = host.addresses[0]
    listen = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    (directory / "config").write_text(
        _CONFIG.format(
            listen=listen,
            tune=tune_file,
            name=account.user,
            mux="yes" if account.rtcp_mux else "no",
            recordings=recordings,
            modules=MODULES,
        )
    )
    (directory / "accounts").write_text(account.line)
    (directory / "contacts").write_text("")
    keys, terminal = pty.openpty()
    family = "-6" if ":" in address else "-4"
    try:
        program = host.start(
            f"baresip-{account.user}",
            *("baresip", family, "-s", "-f", str(directory)),
            env={"HOME": str(directory), "TERM": "dumb"},
            stdin=terminal,
        )
        program.expect("baresip is ready", within_s=PATIENCE_S)
        yield Phone(program, keys, recordings)
        # Asked kindly it would take its registration back, from a border that may be gone.
        program.process.kill()
    finally:
        os.close(keys)
        os.close(terminal)
