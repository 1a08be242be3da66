"""Whatever rules do to whatever message, it stays one that can be sent and read, in its dialog."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.policy.facts import Facts
from sbc.policy.load import load_policy
from sbc.policy.manipulation import manipulate
from sbc.policy.manipulation_guard import PROTECTED
from sbc.policy.manipulation_values import End, Passing
from sbc.sip.message import Request, Response, serialize
from sbc.sip.parser import parse_message_untrusted
from tests.property.sip_strategies import messages, texts

NAMES = st.sampled_from(
    ["X-A", "x-b", "Subject", "s", "P-Asserted-Identity", "Reply-To", "Diversion", "Expires",
     "Refer-To", "Privacy", "Reason", "User-Agent"]
)  # fmt: skip
PARTS = st.sampled_from(
    ["display", "uri", "uri.user", "uri.host", "uri.params.x", "params.y", "params.tag"]
)
ENDS = st.sampled_from(
    [
        f"{name}.{part}"
        for name in ("From", "To", "t")
        for part in ("display", "uri.user", "uri.host")
    ]
)
PLACES = NAMES | st.builds("{}.{}".format, NAMES, PARTS) | ENDS
WORDS = st.sampled_from(
    ["a", "\r\nX-Evil: 1\r\n\r\n", "\n", "\0", '"', "<", ">", ",", ";", "%0d%0a", "\\", " ", "é",
     "sip:a@b", "$(caller)", "$(called)", "$(header:From)", "$(header:X-A)", "$(header:To.display)",
     "$(header:Contact.uri)", "$(peer)", "$(source)", "$(method)"]
)  # fmt: skip
VALUES = st.lists(WORDS, min_size=1, max_size=6).map("".join)
EXPRESSIONS = st.sampled_from([".", "^.*$", "[a-z]+", "(.)(.?)", "a??", "@", "$", "\\s"])
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"set": PLACES, "value": VALUES}),
    st.fixed_dictionaries({"add": NAMES, "value": VALUES}),
    st.fixed_dictionaries({"remove": PLACES}),
    st.fixed_dictionaries({"rename": NAMES, "to": NAMES}),
    st.fixed_dictionaries({"move": PLACES, "to": PLACES}),
    st.fixed_dictionaries({"pass": NAMES}),
    st.fixed_dictionaries(
        {
            "regex": PLACES,
            "match": EXPRESSIONS,
            "replace": st.lists(WORDS | st.just("$(0)"), max_size=4).map("".join),
        }
    ),
)
RULES = st.lists(st.lists(OPERATIONS, min_size=1, max_size=4), min_size=1, max_size=3)


def written(rules: list[list[dict[str, str]]]) -> str:
    """A policy file; quoted so that YAML has the very characters."""
    lines = ["headers:"]
    for number, operations in enumerate(rules):
        lines += [f"  - name: r{number}", "    on: both", "    do:"]
        for operation in operations:
            items = ", ".join(f"{key}: {_quoted(value)}" for key, value in operation.items())
            lines.append(f"      - {{{items}}}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


@settings(max_examples=150, deadline=None)
@given(messages, messages, RULES, st.sampled_from(["trunk", "a\r\nb: c"]))
def test_a_message_stays_legal_and_in_its_dialog(
    message: Request | Response,
    source: Request | Response,
    rules: list[list[dict[str, str]]],
    peer: str,
) -> None:
    loaded = load_policy(written(rules), "p")
    before = message.headers.copy()
    read = parse_message_untrusted(serialize(message))
    facts = Facts(
        "outside",
        trusted=False,
        host="192.0.2.1",
        method="INVITE",
        peer=peer,
        request=message if isinstance(message, Request) else None,
        message=message,
    )
    manipulate(
        loaded.headers, Passing(facts, message, End(peer, "outside"), End("pbx", "inside"), source)
    )
    again = parse_message_untrusted(serialize(message))
    assert again.headers == message.headers
    assert not again.headers.has("x-evil")
    for key in PROTECTED:
        assert message.headers.all(key) == before.all(key)
    assert (again.from_tag, again.to_tag) == (read.from_tag, read.to_tag)
    assert len(message.headers.all("from")) == len(message.headers.all("to")) == 1


@settings(max_examples=100, deadline=None)
@given(texts, texts, texts, texts)
def test_no_text_of_a_file_breaks_the_reader(one: str, two: str, three: str, four: str) -> None:
    rules = [[{"set": one, "value": two}], [{"regex": one, "match": three, "replace": four}]]
    clean = [
        [
            {key: value.encode("utf-8", "replace").decode() for key, value in one.items()}
            for one in o
        ]
        for o in rules
    ]
    loaded = load_policy(written(clean), "p")
    assert loaded.broken or loaded.headers
