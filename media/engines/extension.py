"""The compiled half of the native engine: whether it is there, and belongs to the Python half."""

import zlib
from importlib.util import find_spec
from pathlib import Path

_STUB = Path(__file__).parents[1] / "_native.pyi"


def check_interface(interface: int) -> None:
    """Refuses an extension that was built for another `media/_native.pyi` than lies here.

    A tree that was changed, but not built again, has one.

    Raises:
        ImportError: It is another, or there is no stub to compare with.
    """
    try:
        ours = zlib.adler32(_STUB.read_bytes())
    except OSError as error:
        raise ImportError(f"its stub cannot be read: {error}") from error
    if interface != ours:
        raise ImportError("it was built from other sources than this Python code; install again")


def why_absent(error: ImportError) -> str:
    """Why there is no native engine, as part of one line for the operator.

    Args:
        error: What came of importing `media.engines.native`.
    """
    if find_spec("media._native") is None:
        return (
            "the native one was not built when this was installed for this Python; "
            "that takes cargo and Rust 1.85 or later"
        )
    return f"the native one cannot be loaded ({error})"
