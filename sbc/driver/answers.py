"""What became of requests of ours, handed to whoever sent them: a call or an agent."""

from sbc.b2bua.events import ReplyReceived, RequestFailed
from sbc.driver.agents import Agents
from sbc.driver.calls import Calls
from sbc.driver.outbox import Outbox
from sbc.sip.transaction import events as tx


class Answers:
    """Finds the owner of a client transaction and tells it."""

    def __init__(self, outbox: Outbox, calls: Calls, agents: Agents) -> None:
        self._outbox = outbox
        self._calls = calls
        self._agents = agents

    def response(self, output: tx.ResponseArrived, now: float) -> None:
        """It was answered."""
        owner = self._outbox.owner_of(output.key)
        if owner is None:
            return
        name, ref = owner
        response = output.response
        if self._agents.owns(name):
            if response.status >= 200:
                self._outbox.forget(name, output.key)
            self._agents.reply(name, ref, response, now)
            return
        self._calls.tell_reply(name, ReplyReceived(ref, response, output.flow), now)
        # Only a 2xx to INVITE comes again and again, until its ACK arrives.
        if response.status >= 300 or (response.status >= 200 and response.cseq.method != "INVITE"):
            self._outbox.forget(name, output.key)

    def failed(self, output: tx.RequestFailed, now: float) -> None:
        """Nobody will answer it."""
        owner = self._outbox.owner_of(output.key)
        if owner is None:
            return
        name, ref = owner
        self._outbox.forget(name, output.key)
        if self._agents.owns(name):
            self._agents.failed(name, ref, output.why, now)
            return
        self._calls.tell_named(name, RequestFailed(ref, output.why, output.detail), now)
