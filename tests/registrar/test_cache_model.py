"""Whatever phones, strangers and the network do: a cache says only what the registrar believes."""

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sbc.routing.registration import Registration
from sbc.sip.message import Response
from sbc.sip.user import Respond, SendRequest
from tests.kit.registrar import Desk, life_of
from tests.kit.registrar import settings as configured
from tests.kit.switchboard import PHONE_FLOW, a_register

CACHE = Registration(mode="cache", phone_expires_s=40, registrar_expires_s=400)
STRANGER = PHONE_FLOW._replace(remote=("192.0.2.66", 666))
GRANTED_S = 300


@dataclass
class Core:
    """The registrar behind us: contacts with their ends, and one password at a time."""

    password: str = "first"
    contacts: dict[str, float] = field(default_factory=dict)

    def receive(self, sent: SendRequest, now: float) -> tuple[int, list[tuple[str, str]]]:
        """Do what a REGISTER asks for if it proves the password."""
        request = sent.request
        shown = request.headers.first("authorization") or ""
        if f'response="{self.password}' not in shown:
            return 401, [("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", qop="auth"')]
        if request.contact_is_star:
            self.contacts.clear()
        for contact in request.contacts:
            self.contacts.pop(contact.uri.user or "", None)
            asked = contact.param("expires") or request.headers.first("expires")
            if asked != "0":
                self.contacts[contact.uri.user or ""] = now + GRANTED_S
        return 200, [
            ("Contact", f"<sip:{token}@192.168.1.2:5062>;expires={int(until - now)}")
            for token, until in self.contacts.items()
            if until - now >= 1
        ]


STEPS = st.tuples(
    st.sampled_from(["refresh", "refresh", "goodbye", "all", "ask"]),
    st.sampled_from(["phone", "phone", "phone", "other", "stranger"]),
    st.sampled_from(["none", "first", "first", "second", "fresh nonce"]),
    st.sampled_from(["answered", "answered", "answered", "lost", "unreachable"]),
    st.sampled_from([0.0, 10.0, 40.0, 120.0]),
    st.booleans(),
)


STAY = ("refresh", "phone", "first", "answered", 10.0, False)


def a_message(kind: str, who: str, shown: str, cseq: int) -> bytes:
    name = "nobody" if shown == "none" else shown
    nonce, password = ("n2", "first") if shown == "fresh nonce" else ("n1", name)
    value = (
        f'Authorization: Digest username="alice", realm="pbx", nonce="{nonce}", uri="sip:pbx", '
        f'response="{password}{cseq}", qop=auth, cnonce="c", nc={cseq:08x}'
    )
    contact = f"<sip:alice@10.0.0.{len(who)}:5060>"
    if kind == "all":
        contact = "*"
    elif kind == "ask":
        contact = ""
    return a_register(
        cseq=cseq,
        call_id=f"reg-{who}",
        contact=contact,
        expires=0 if kind in ("goodbye", "all") else 600,
        headers=() if shown == "none" else (value,),
    )


@settings(deadline=None, max_examples=150)
@given(st.lists(STEPS, max_size=30))
@example([STAY, ("goodbye", "phone", "first", "lost", 0.0, False), STAY])
@example([STAY, ("all", "other", "first", "answered", 0.0, False), STAY])
def test_a_cache_says_only_what_the_registrar_believes(steps):
    desk, core = Desk(configured(registration=CACHE)), Core()
    flows = {
        "phone": PHONE_FLOW,
        "other": PHONE_FLOW._replace(remote=("198.51.100.7", 40007)),
        "stranger": STRANGER,
    }
    for number, (kind, who, shown, fate, pause, changed) in enumerate(steps, start=1):
        if changed and shown == "second":
            core.password = "second"
        # What was lost on the way back is doubted only if the phone itself had said it.
        answered = fate == "answered" or (who != "phone" and fate == "lost")
        known = "a guess" if who == "stranger" and shown != "none" else shown
        out = desk.register(a_message(kind, who, known, number), flows[who])
        asked = [one for one in out if isinstance(one, SendRequest)]
        for sent in asked:
            status, headers = 0, []
            if fate != "unreachable":
                status, headers = core.receive(sent, desk.now)
            if answered:
                out = desk.reply(sent, status, *headers)
            else:
                out = desk.registrar.failed(sent.ref, "timeout", desk.now)
        (said,) = [one.response for one in out if isinstance(one, Respond)]
        check_what_is_said(said, desk, core)
        if kind in ("goodbye", "all") and said.status == 200:
            assert asked, "a phone that leaves is never kept from it"
        assert who != "stranger" or said.status != 200
        desk.wait(pause)


def check_what_is_said(said: Response, desk: Desk, core: Core) -> None:
    """Every contact that a 200 lists is at the registrar, for at least as long as is said."""
    if said.status != 200:
        return
    tokens = {binding.contact: binding.token for binding in desk.registrar.bindings}
    for told in said.headers.all("contact"):
        token = tokens[told.partition(">")[0].lstrip("<")]
        assert core.contacts[token] - desk.now >= life_of(told)
