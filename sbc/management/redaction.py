"""What an operator may see of a message: everything but what would let somebody in or listen in.

Keys of SRTP and ICE, and the answers to challenges, from which a password can be guessed.
"""

import re

REMOVED = "(removed)"

_URI_PASSWORD = re.compile(r"(sips?:[^\s:@;<>\"]{0,128}:)[^\s@<>\"/]{1,128}@", re.IGNORECASE)
_URI_PASSWORD_LOWER = re.compile(r"sips?:[^\s:@;<>\"]{0,128}:[^\s@<>\"/]{1,128}@")
_INLINE_KEY = re.compile(r"(inline:)[^\s|;,]+", re.IGNORECASE)
_KEY_LINE = re.compile(r"^(k=|a=key-mgmt:|a=ice-pwd:)[^\r\n]+", re.IGNORECASE | re.MULTILINE)
_CREDENTIALS = re.compile(
    r"^((?:Proxy-)?Authorization[ \t]*:\s*[^\s,]+|(?:Proxy-)?Authentication-Info[ \t]*:)"
    r"((?:[^\r\n]|\r?\n[ \t])*)",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER = re.compile(
    r"(\b(?:response|rspauth)\s*=\s*)(?:\"(?:[^\"\\]|\\.)*\"?|[^\s,]+)", re.IGNORECASE
)


def without_secrets(text: str) -> str:
    """Messages, or lines made of them, with every secret replaced by `REMOVED`."""
    # Most texts have none, and looking for a word is much cheaper than for a pattern.
    lower = text.lower()
    if "authorization" in lower or "authentication-info" in lower:
        text = _CREDENTIALS.sub(_without_answer, text)
    if "inline:" in lower:
        text = _INLINE_KEY.sub(rf"\1{REMOVED}", text)
    if "\nk=" in lower or "\na=key-mgmt:" in lower or "\na=ice-pwd:" in lower:
        text = _KEY_LINE.sub(rf"\1{REMOVED}", text)
    if _URI_PASSWORD_LOWER.search(lower):
        text = _URI_PASSWORD.sub(rf"\1{REMOVED}@", text)
    return text


def _without_answer(found: re.Match[str]) -> str:
    """Credentials: of Digest all but the answer may stay, of other schemes nothing."""
    name, rest = found[1], found[2]
    if name.lower().endswith(("digest", ":")):
        return name + _ANSWER.sub(rf'\1"{REMOVED}"', rest)
    return f"{name} {REMOVED}"
