"""The systems of the TLS bench, ours and Kamailio as a proxy, and their certificates."""

import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.bench.load import CALLEE_PORT, HOST
from tests.bench.tls_calls import SECURED_CALLEE_PORT
from tests.kit.certificates import Authority, Files

KEYS = ("P-256", "RSA 2048")
OURS, KAMAILIO = "ours", "kamailio"
CALLEES = {
    "udp": f"{HOST}:{CALLEE_PORT}",
    "tls": f"{HOST}:{SECURED_CALLEE_PORT};transport=tls",
}
_NAME = "pbx.example"
_OUR_CONFIGURATION = Path(__file__).parent / "tls.yaml"
_KAMAILIO = Template("""\
debug=0
log_stderror=yes
children=1
tcp_children=1
enable_tls=yes
tcp_max_connections=8192
tls_max_connections=8192
auto_aliases=no
listen=udp:127.0.0.1:5060
listen=tls:127.0.0.1:5061
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "$certificate")
modparam("tls", "private_key", "$key")
request_route {
    if (has_totag()) {
        loose_route();
        t_relay();
        exit;
    }
    record_route();
    $$du = "sip:$callee";
    t_relay();
}
""")


@dataclass(frozen=True)
class Systems:
    """What is written for them into one directory."""

    directory: Path
    ca: Path
    files: dict[str, Files]
    """A certificate for each kind of key."""

    def command(self, system: str, callee: str, key: str = "P-256") -> list[str]:
        """The command line of a system that hands calls on over `callee`, udp or tls."""
        files = self.files[key]
        if system == KAMAILIO:
            return self._kamailio(callee, files)
        environment = (
            f"CERTIFICATE={files.certificate}",
            f"KEY={files.key}",
            f"CA={self.ca}",
            f"CALLEE={CALLEES[callee]}",
        )
        return ["env", *environment, sys.executable, "-m", "sbc", "run", str(_OUR_CONFIGURATION)]

    def _kamailio(self, callee: str, files: Files) -> list[str]:
        file = self.directory / "kamailio.cfg"
        file.write_text(
            _KAMAILIO.substitute(
                certificate=files.certificate, key=files.key, callee=CALLEES[callee]
            )
        )
        run = self.directory / "kamailio"
        run.mkdir(exist_ok=True)
        # As packaged its allocator checks itself, which costs it half of its speed.
        options = ["-m", "512", "-M", "32", "-x", "fm", "-X", "fm", "-Y", str(run), "-w", str(run)]
        return ["kamailio", "-DD", "-f", str(file), *options]


def write_systems(directory: Path) -> Systems:
    """Make the certificates; both ends of a call show the same."""
    authority = Authority()
    keys = {"P-256": None, "RSA 2048": rsa.generate_private_key(65537, 2048)}
    files = {
        name: authority.issue(_NAME, HOST, "127.0.0.2", key=key).write(
            directory, name.replace(" ", "")
        )
        for name, key in keys.items()
    }
    return Systems(directory, authority.write(directory), files)
