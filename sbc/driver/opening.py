"""How the story of a call begins: what came, who was let in and why, and what was made of it."""

from sbc.b2bua.call import Call
from sbc.driver.callers import Caller
from sbc.driver.manipulating import Asked
from sbc.sip.message import Request


def open_story(call: Call, invite: Request, caller: Caller, asked: Asked, now: float) -> None:
    """Write the first entries of a call's journal.

    Args:
        invite: The caller's INVITE as it came.
        asked: As repairs and rules for headers left it.
    """
    note = call.journal.note
    note(now, "sip", "", "a", "in", invite.raw)
    note(now, "decision", caller.decision.explanation, "a")
    for kind, text in asked.notes:
        note(now, kind, text, "a")
    if caller.user:
        note(now, "decision", f"logged in as {caller.user!r}", "a")
    codecs = caller.decision.codecs
    if codecs is not None:
        note(now, "decision", f"media have {codecs} by rule {codecs.where}", "a")
    if asked.request is not invite:
        call.invite, call.asked = invite, asked.request
