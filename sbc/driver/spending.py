"""What calls cost: what the ledger is told of them, and the owner of those that look like fraud."""

from sbc.b2bua.call import Call
from sbc.b2bua.causes import Ending, q850_of
from sbc.b2bua.credentials import CHALLENGES
from sbc.driver.callers import Caller
from sbc.driver.edges import Log
from sbc.driver.in_force import InForce
from sbc.policy.accounts import account_of
from sbc.policy.charges import Charge, charge_of
from sbc.policy.facts import FACTS, Facts
from sbc.policy.ledger import Ledger
from sbc.policy.model import Step
from sbc.state.cdr import EndedBy

_ADVICE = {
    "warn": "look whether the account is misused; a rule with `cap` or `reject` would end it",
    "cap": "look whether the account is misused; the call ends after that time",
    "reject": "change the account's password and look at its calls: `sbc cdr`; if the call is "
    "wanted, put a rule with `pass` in front of this one",
}


def charge_for(caller: Caller) -> Charge | None:
    """What a call would cost its caller; asked before anything is counted for it.

    Raises:
        ParseError: a header that says who forwarded it is malformed (400).
    """
    return None if caller.facts is None else charge_of(caller.facts)


def charge(call: Call, caller: Caller, cost: Charge | None, force: InForce) -> None:
    """Say of a call that begins who pays what for it, and how long it may last.

    Args:
        cost: As `charge_for` said.
    """
    facts = caller.facts
    if facts is None:
        return
    for step in caller.decision.effects("cap"):
        longest_s = float(step.action.text) * 60.0
        call.longest_s = min(longest_s, call.longest_s or longest_s)
        said = f"ends after {step.action.text} minutes: {step.explanation}"
        call.journal.note(call.started_at, "decision", said, "a")
    if _comes_in(force, facts, caller.peer, call.candidate.peer):
        call.charge = Charge("", facts.caller_number)
    else:
        call.charge = cost


def _comes_in(force: InForce, facts: Facts, caller: str, callee: str) -> bool:
    """Whether a call comes from outside to us, for which nobody of ours pays."""
    source, target = force.table.peer(caller), force.table.peer(callee)
    from_outside = source.kind == "trunk" if source is not None else not facts.registered
    return from_outside and (target is None or target.kind != "trunk")


def settle(ledger: Ledger, call: Call, now: float) -> None:
    """A call is over; one that only was challenged was none, as its caller asks again."""
    if call.ending is not None and call.ending.status in CHALLENGES:
        ledger.undo(call.name, wall_of(call, now))
    else:
        ledger.ended(call.name, wall_of(call, now))


def spent_too_much(account: str, spent: str) -> Ending:
    """Why a live call is ended whose account has spent more than `cut_off` lets it."""
    text = f"{account} has spent {spent}, more than tariffs.cut_off allows"
    return Ending(403, q850_of(403), EndedBy.POLICY, text, "the call was ended")


def wall_of(call: Call, now: float) -> float:
    """A moment of a call in seconds since 1970, however clocks are set meanwhile."""
    return call.started_wall + now - call.started_at


def tell(log: Log, facts: Facts, step: Step) -> None:
    """Tell the owner of a call that a rule of the stage `fraud` has something to say of."""
    verb = step.action.verb
    if verb not in _ADVICE:
        return
    tariffs, number = facts.world.tariffs, facts.called_number
    count = facts.world.counters.count
    log(
        "warning",
        "toll fraud suspected",
        account=account_of(facts),
        called=number,
        country=FACTS["called_country"].read(facts) or None,
        destination=tariffs.name(number) or None,
        risk=FACTS["risk"].read(facts) or None,
        price=tariffs.amount(tariffs.price(number).per_minute),
        spend_hour=tariffs.amount(count("spend_hour", facts)),
        spend_day=tariffs.amount(count("spend_day", facts)),
        live_calls=int(count("live_calls", facts)),
        source=(facts.host, facts.port),
        done=str(step.action),
        rule=step.rule,
        where=step.where,
        why=step.explanation,
        advice=_ADVICE[verb],
    )
