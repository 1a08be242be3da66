"""Access control: the first rule that matches decides; what no rule allows is denied.

Spec: RFC 5853 §3.5 (access control at the border).
"""

from sbc.policy.model import Decision, Evidence, Facts, PolicySet

BUILT_IN = "built in"


def decide(policy: PolicySet, facts: Facts) -> Decision:
    """Decide on a request outside the transactions and dialogs that exist already.

    CANCEL, and ACK, belong to a request that was decided on: nobody asks about them again.

    Returns:
        Where no rule matches: nothing is said to a stranger, 403 to a trusted network, whose
        operator is better served by an answer.
    """
    for rule in policy.candidates(facts):
        if rule.when.hold(facts):
            return Decision(
                rule.outcome,
                rule.name,
                rule.where,
                rule.status,
                rule.text,
                rule.when.tested(facts),
            )
    tested = (
        Evidence("rules", f"{len(policy.rules)} tried", "one that matches"),
        Evidence("source", facts.host, "any"),
        Evidence("method", facts.method, "any"),
    )
    if facts.trusted:
        return Decision("reject", "default deny", BUILT_IN, 403, "", tested)
    return Decision("drop", "default deny", BUILT_IN, tested=tested)
