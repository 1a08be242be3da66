"""Kamailio on a host, as the PBX that phones register with and are called through."""

from string import Template

from tests.kit.hosts import Host, Program
from tests.kit.kamailio import start_kamailio

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
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("auth", "qop", "auth")
modparam("auth", "nonce_count", 1)
modparam("auth", "nc_array_size", 16384)
modparam("auth", "nonce_expire", 300)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", $longest)
modparam("registrar", "default_expires", $longest)
alias="$domain"
request_route {
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("$domain", "$password", "0")) {
            xlog("L_WARN", "challenged $$tU\\n");
            www_challenge("$domain", "1");
            exit;
        }
        xlog("L_WARN", "register of $$tU with $$ct asks $$hdr(Expires)\\n");
        save("location");
        exit;
    }
    if (is_method("ACK|CANCEL") || has_totag()) {
        if (has_totag()) { loose_route(); }
        t_relay();
        exit;
    }
    record_route();
    remove_hf("Route");
    if (!lookup("location")) {
        sl_send_reply("404", "Nobody is there");
        exit;
    }
    t_relay();
}
""")


def start_registrar(
    host: Host, *, domain: str, password: str, longest_s: int = 3600, tag: str = ""
) -> Program:
    """A registrar and proxy on port 5060 for one domain, with one password for everybody.

    It says whom it challenged and whose registration it took.

    Args:
        longest_s: how long it keeps a contact at most.
        tag: tells one that is started again from the one before.
    """
    words = {"domain": domain, "password": password, "longest": longest_s}
    configuration = _CONFIGURATION.substitute(address=host.addresses[0], **words)
    return start_kamailio(host, f"kamailio-{host.name}{tag}", configuration)
