"""Places where a test may kill the process, to prove that nothing is lost or done twice.

``TOWN_FAILPOINT=after-produce-before-mark:kill`` ends the process with SIGKILL when it gets there. ``TOWN_FAILPOINTS``
names a folder in which a test of a running town arms a place by a file ``<place>.<whose>``, such as
``after-produce-before-mark.procedures``: the first process that gets there takes the file away and dies.

In production both are ignored: each service calls :func:`forbid` there, and any ``TOWN_*ENVIRONMENT=production``
forbids them too.
"""

import os
import signal

SETTING = "TOWN_FAILPOINT"
FOLDER = "TOWN_FAILPOINTS"
_forbidden = False


def forbid() -> None:
    """Ignore the settings from now on, whatever they say."""
    global _forbidden
    _forbidden = True


def failpoint(name: str, whose: str = "") -> None:
    """Die here when a test asked for it; otherwise do nothing.

    Args:
        name: the place, such as ``after-produce-before-mark``.
        whose: what is going on there: the service of a relay, the action of a request.
    """
    asked = os.environ.get(SETTING) == f"{name}:kill"
    folder = os.environ.get(FOLDER)
    if not (asked or folder) or _forbidden or _in_production():
        return
    if asked or (folder and _disarm(os.path.join(folder, f"{name}.{whose}"))):
        os.kill(os.getpid(), signal.SIGKILL)


def _disarm(path: str) -> bool:
    """Take the file away; False when there is none, or another process was faster."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def _in_production() -> bool:
    return any(
        name.startswith("TOWN_") and name.endswith("ENVIRONMENT") and value == "production"
        for name, value in os.environ.items()
    )
