"""Kamailio on a host, as a carrier: its customers register, call out through it and are called."""

from string import Template

from tests.kit.hosts import Host, Program
from tests.kit.kamailio import start_kamailio

BEHIND = 5080
"""Port of the carrier's host on which those are whom its customers call."""
_CONFIGURATION = Template("""\
debug=2
log_stderror=yes
children=2
auto_aliases=no
listen=udp:$address:5060
listen=tcp:$address:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("auth", "algorithm", "$algorithm")
modparam("auth", "qop", "auth")
modparam("registrar", "max_expires", $longest_s)
request_route {
    if (is_method("OPTIONS") && !has_totag()) {
        sl_send_reply("200", "OK");
        exit;
    }
    if (is_method("ACK|CANCEL") || has_totag()) {
        if (has_totag()) { loose_route(); }
        t_relay();
        exit;
    }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("$realm", "$password", "0")) {
            xlog("L_WARN", "challenged $$rm of $$fU\\n");
            www_challenge("$realm", "0");
            exit;
        }
        save("location");
        xlog("L_WARN", "registered $$fU at $$ct\\n");
        exit;
    }
    record_route();
    if ($$si == "$customer") {
        if (!pv_proxy_authenticate("$realm", "$password", "0")) {
            xlog("L_WARN", "challenged $$rm of $$fU\\n");
            proxy_challenge("$realm", "0");
            exit;
        }
        xlog("L_WARN", "proved $$rm by $$au\\n");
        consume_credentials();
        $$du = "sip:$address:$behind";
    } else if (!lookup("location")) {
        sl_send_reply("404", "Not Found");
        exit;
    }
    t_relay();
}
""")


def start_carrier(
    host: Host,
    *,
    realm: str,
    password: str,
    customer: str,
    algorithm: str = "MD5",
    longest_s: int = 600,
) -> Program:
    """A carrier on port 5060. It says whom it challenged, who registered and whose calls it took.

    Args:
        customer: address of the one who calls out; everybody else calls its customers.
        algorithm: ``MD5`` or ``SHA-256``.
        longest_s: the longest registration that it grants.
    """
    words = {"realm": realm, "password": password, "algorithm": algorithm, "customer": customer}
    configuration = _CONFIGURATION.substitute(
        address=host.ip, behind=BEHIND, longest_s=longest_s, **words
    )
    return start_kamailio(host, f"carrier-{host.name}", configuration)
