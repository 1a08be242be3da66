"""The registrar of a small site: we decide ourselves, and there is no PBX to ask.

A REGISTER comes here only after whoever sent it has proved to be the user that it names. It is
done whole or not at all.

Spec: RFC 3261 §10.3, RFC 5626 §6.
"""

from collections.abc import Iterable

from sbc.policy.refusal import Refusal
from sbc.registrar import answering
from sbc.registrar.binding import Binding
from sbc.registrar.claims import Claim
from sbc.registrar.commands import Command
from sbc.registrar.grants import user_of
from sbc.registrar.lives import MAX_BINDINGS, Lives
from sbc.registrar.pending import Pending, binding_of
from sbc.registrar.relaying import Pseudonyms
from sbc.routing.spread import Spread
from sbc.sip.fields.name_addr import NameAddr


class LocalRegistrar:
    """Answers every REGISTER at once."""

    def __init__(
        self, server_header: str | None, lives: Lives, names: Pseudonyms, spread: Spread
    ) -> None:
        self.server_header = server_header
        self._lives = lives
        self._bindings = lives.bindings
        self._names = names
        self._spread = spread

    def register(self, asked: Pending, now: float) -> list[Command]:
        """Do what a REGISTER asks for, or nothing of it.

        Raises:
            ParseError: a header that must be understood is malformed (400).
        """
        refusal = self._refusal(asked)
        if refusal is not None:
            return answering.refuse(
                asked, refusal, names=self._names, server_header=self.server_header
            )
        # Everything is read before anything is done.
        extras = answering.success_extras(asked.request, asked.flow, asked.claims.values())
        granted = [(claim, self._granted(asked, claim)) for claim in asked.claims.values()]
        gone = [claim.key for claim, life_s in granted if life_s == 0]
        if asked.request.contact_is_star:
            gone = [binding.key for binding in self._of_user(asked)]
        there = [
            binding_of(asked, claim, now + life_s, registrar="")
            for claim, life_s in granted
            if life_s > 0
        ]
        out: list[Command] = []
        for key in gone:
            out += self._lives.end(key, "unregistered")
        for binding in there:
            out += self._lives.accept(binding, now, asked.registration.max_contacts)
        said = answering.accept(
            asked,
            self._told(asked, now),
            extras,
            names=self._names,
            server_header=self.server_header,
        )
        return [*out, *said]

    def _refusal(self, asked: Pending) -> Refusal | None:
        """Why nothing is done."""
        request, registration = asked.request, asked.registration
        claims = list(asked.claims.values())
        if answering.lacks_outbound(request, claims):
            return answering.NO_OUTBOUND
        living = [claim for claim in claims if claim.asked_s > 0]
        if len(living) > registration.max_contacts:
            return Refusal(403, f"a user may have {registration.max_contacts} contacts")
        shortest = min((claim.asked_s for claim in living), default=None)
        if shortest is not None and shortest < registration.min_expires_s:
            minimum = str(registration.min_expires_s)
            said = f"a registration lasts at least {minimum} seconds"
            return Refusal(423, said, headers=(("Min-Expires", minimum),))
        if self._is_late(asked):
            return Refusal(500, "a later REGISTER of this phone was served before")
        if len(self._bindings) + len(living) > MAX_BINDINGS:
            wait_s = self._spread.later(answering.BUSY_S)
            return Refusal(503, "too many registrations", retry_after_s=wait_s)
        return None

    def _is_late(self, asked: Pending) -> bool:
        """Whether a REGISTER was overtaken by one that was served (RFC 3261 §10.3 step 6, 7)."""
        request = asked.request
        concerned: Iterable[Binding | None] = (
            self._of_user(asked)
            if request.contact_is_star
            else [self._bindings.by_key(claim.key) for claim in asked.claims.values()]
        )
        number = request.cseq.number
        return any(
            known is not None and known.call_id == request.call_id and number <= known.cseq
            for known in concerned
        )

    def _granted(self, asked: Pending, claim: Claim) -> int:
        """The life of a contact; phones that ask for the same do not all come back together."""
        if claim.asked_s == 0:
            return 0
        registration = asked.registration
        life = self._spread.shortened(min(claim.asked_s, registration.max_expires_s))
        return max(life, registration.min_expires_s)

    def _of_user(self, asked: Pending) -> list[Binding]:
        to = asked.request.to.uri
        name = to.address_of_record
        return [
            binding
            for binding in self._bindings.of_user(user_of(to))
            if (binding.aor, binding.endpoints) == (name, asked.endpoints)
        ]

    def _told(self, asked: Pending, now: float) -> list[NameAddr]:
        """Every contact that the user has now."""
        return [
            answering.contact_told(binding, max(1, int(binding.expires_at - now)))
            for binding in self._of_user(asked)
        ]
