"""Whether this machine lets us capture packets."""

import functools

import pytest

from kubelag.errors import CaptureError
from kubelag.observe.capture.live import LiveCapture


@functools.cache
def why_no_capture() -> str:
    """What stands against it; empty where nothing does."""
    capture = LiveCapture(ports=[1], interface="lo")
    try:
        capture.start()
    except CaptureError as error:
        return error.message
    capture.stop()
    return ""


needs_capture = pytest.mark.skipif(bool(why_no_capture()), reason=why_no_capture() or "-")
