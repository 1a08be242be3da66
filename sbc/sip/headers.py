"""The header fields of a message: an ordered multimap that keeps what it was given.

Spec: RFC 3261 §7.3.
"""

from collections.abc import Callable, Iterable

from sbc.sip.grammar import is_token, split_commas

COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
"""The long name for each registered compact form."""

_USUAL = """Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events
Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding
Content-Language Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires From
Geolocation History-Info Identity Identity-Info In-Reply-To Info-Package Join Max-Forwards
MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info P-Asserted-Identity
P-Called-Party-ID P-Early-Media P-Preferred-Identity Path Priority Privacy Proxy-Authenticate
Proxy-Authorization Proxy-Require RAck Reason Record-Route Recv-Info Refer-Sub Refer-To
Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To Request-Disposition Require
Retry-After Route RSeq Server Service-Route Session-Expires Session-ID SIP-ETag SIP-If-Match
Subject Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent Via
Warning WWW-Authenticate"""


def _usual_keys() -> dict[str, str]:
    keys: dict[str, str] = {}
    for name in _USUAL.split():
        keys[name] = keys[name.lower()] = keys[name.upper()] = name.lower()
    for compact, name in COMPACT.items():
        keys[compact] = keys[compact.upper()] = name
    return keys


KEYS = _usual_keys()
"""Lookup keys of header names in their usual spellings: the fast path of `key_of`."""


def key_of(name: str) -> str:
    """Give the key a header is looked up by: its long name in lower case.

    Raises:
        ValueError: The name is not a token.
    """
    key = KEYS.get(name)
    if key is None:
        if not is_token(name):
            raise ValueError(f"not a header name: {name!r}")
        key = name.lower()
        key = COMPACT.get(key, key)
    return key


class Headers:
    """Header fields in order, each with its name as received.

    Names given for lookup are long and lower case (``"call-id"``); compact forms are found by
    them too. Names given for writing are written as they are.
    """

    __slots__ = ("_keys", "_names", "_values")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        fields = list(items)
        self._names = [name for name, _ in fields]
        self._keys = [KEYS.get(name) or key_of(name) for name in self._names]
        self._values = [value for _, value in fields]

    def first(self, name: str) -> str | None:
        """Give the first value of that name."""
        try:
            return self._values[self._keys.index(name)]
        except ValueError:
            return None

    def all(self, name: str) -> list[str]:
        """Give the values of every field of that name, each as it stands."""
        keys = self._keys
        if name not in keys:
            return []
        return [value for key, value in zip(keys, self._values, strict=True) if key == name]

    def values(self, name: str) -> list[str]:
        """Give the elements of every field of that name, comma-separated lists taken apart."""
        elements: list[str] = []
        for value in self.all(name):
            elements += split_commas(value)
        return elements

    def has(self, name: str) -> bool:
        """Whether a field of that name is there."""
        return name in self._keys

    def append(self, name: str, value: str) -> None:
        """Add a field at the end."""
        self._keys.append(KEYS.get(name) or key_of(name))
        self._names.append(name)
        self._values.append(value)

    def set(self, name: str, value: str) -> None:
        """Make this the only field of that name, where the first one stood or at the end."""
        key = key_of(name)
        keys = self._keys
        if key not in keys:
            self.append(name, value)
            return
        at = keys.index(key)
        self._names[at] = name
        self._values[at] = value
        while keys.count(key) > 1:
            self._delete(keys.index(key, at + 1))

    def replace_first(self, name: str, value: str) -> None:
        """Give the first field of that name another value; the others and its name stay.

        Raises:
            KeyError: There is no such field.
        """
        if name not in self._keys:
            raise KeyError(name)
        self._values[self._keys.index(name)] = value

    def change(self, name: str, edit: Callable[[str], str | None]) -> None:
        """Give every field of that name the value that `edit` makes of its own; None removes it."""
        for at in range(len(self._keys) - 1, -1, -1):
            if self._keys[at] == name:
                value = edit(self._values[at])
                if value is None:
                    self._delete(at)
                else:
                    self._values[at] = value

    def rename(self, name: str, new: str) -> None:
        """Give every field of that name another name, written as it is; values and order stay."""
        key = key_of(new)
        for at, before in enumerate(self._keys):
            if before == name:
                self._keys[at] = key
                self._names[at] = new

    def remove(self, name: str) -> None:
        """Remove every field of that name, if there is one."""
        keys = self._keys
        while name in keys:
            self._delete(keys.index(name))

    def items(self) -> Iterable[tuple[str, str]]:
        """Give name as received and value, in order."""
        return zip(self._names, self._values, strict=True)

    def among(self, keys: frozenset[str]) -> list[tuple[str, str]]:
        """Give name as received and value of every field that has one of those names, in order."""
        found = zip(self._keys, self._names, self._values, strict=True)
        return [(name, value) for key, name, value in found if key in keys]

    def copy(self) -> "Headers":
        """Copy; the copy can be changed without changing this one."""
        return headers_of(self._names.copy(), self._keys.copy(), self._values.copy())

    def __len__(self) -> int:
        return len(self._keys)

    def __eq__(self, other: object) -> bool:
        """Equal when the same fields with the same values stand in the same order."""
        if not isinstance(other, Headers):
            return NotImplemented
        return self._keys == other._keys and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # mutable, so unhashable

    def __repr__(self) -> str:
        return f"Headers({list(self.items())!r})"

    def _delete(self, at: int) -> None:
        del self._keys[at]
        del self._names[at]
        del self._values[at]


def headers_of(names: list[str], keys: list[str], values: list[str]) -> Headers:
    """Make headers of three lists of equal length, which they own from then on."""
    headers = Headers()
    headers._names = names
    headers._keys = keys
    headers._values = values
    return headers
