"""Kamailio on a host, as the proxy of a carrier that challenges calls."""

from string import Template

from tests.kit.hosts import Host, Program, wait_until

_CONFIGURATION = Template("""\
debug=2
log_stderror=yes
children=2
auto_aliases=no
listen=udp:$address:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "$algorithm")
modparam("auth", "qop", "auth")
request_route {
    if (is_method("ACK|CANCEL")) {
        if (has_totag()) { loose_route(); }
        t_relay();
        exit;
    }
    if (!pv_proxy_authenticate("$realm", "$password", "0")) {
        xlog("L_WARN", "challenged $$rm\\n");
        proxy_challenge("$realm", "0");
        exit;
    }
    xlog("L_WARN", "proved $$rm by $$au\\n");
    consume_credentials();
    if (has_totag()) {
        loose_route();
    } else {
        record_route();
        $$du = "sip:$address:$behind";
    }
    t_relay();
}
""")


def start_kamailio(
    host: Host, *, algorithm: str, realm: str, password: str, behind: int
) -> Program:
    """A proxy on port 5060 that challenges every request, whoever's it is, for one password.

    It says what it challenged and what it took for proved.

    Args:
        algorithm: ``MD5`` or ``SHA-256``.
        behind: port of the host to which calls go.
    """
    file = host.logs / f"kamailio-{host.name}.cfg"
    words = {"algorithm": algorithm, "realm": realm, "password": password, "behind": behind}
    file.write_text(_CONFIGURATION.substitute(address=host.ip, **words))
    run = host.logs / f"kamailio-{host.name}"
    run.mkdir()
    program = host.start(
        f"kamailio-{host.name}",
        *("kamailio", "-DD", "-f", str(file), "-m", "64", "-M", "8", "-x", "fm", "-X", "fm"),
        *("-Y", str(run), "-w", str(run), "-P", str(run / "pid")),
    )
    wait_until(
        lambda: ":13C4 " in host.run("cat", "/proc/net/udp") or not program.running,
        within_s=15,
        what=f"kamailio listens\n{program.tail()}",
    )
    assert program.running, program.tail()
    return program
