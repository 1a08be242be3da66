"""What the relay can refuse, and why."""


class MediaError(Exception):
    """The relay cannot do what it was asked; the text says what to do about it."""


class PortsExhausted(MediaError):
    """No free RTP port on a network: the call is refused with 503 before anything rings."""


class MediaRefused(MediaError):
    """The engine could not open what a plan asks for, for example a port another program holds."""


class UnknownStream(MediaError):
    """The stream that was asked about is not open."""
