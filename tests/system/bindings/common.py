"""What both scripts share: a record of what was tried, and waiting for signals."""

import sys
import xml.etree.ElementTree as ET

from dasbus.error import DBusError
from gi.repository import GLib

INTERFACES = "/usr/share/dbus-1/interfaces"
# Far more than anything takes.
PATIENCE_MS = 30_000


class Record:
    """What was tried, against what the installed interfaces have."""

    def __init__(self):
        self.tried = set()

    def __call__(self, member, call=None, *arguments):
        """Notes that a member is tried, and calls it where it is a method."""
        self.tried.add(member)
        if call is None:
            return None
        try:
            return call(*arguments)
        except DBusError as error:
            sys.exit(f"{member}{arguments}: {error.dbus_name}: {error}")

    def refused(self, name, call, *arguments):
        """A call that must fail with this error."""
        try:
            answer = call(*arguments)
        except DBusError as error:
            check(error.dbus_name == name, f"{arguments}: {error.dbus_name}, not {name}")
            check(str(error) != "", f"{arguments}: {name} without a text")
            return
        sys.exit(f"{arguments} should fail with {name}, and gave {answer!r}")

    def finish(self, *names):
        """Everything that these interfaces have must have been tried."""
        for name in names:
            root = ET.parse(f"{INTERFACES}/org.eclipse.bluechi.{name}.xml").getroot()
            members = {
                f"{name}.{member.get('name')}"
                for kind in ("method", "signal", "property")
                for member in root.iter(kind)
            }
            check(bool(members), f"{name} has no members")
            left = members - self.tried
            check(not left, f"not tried: {sorted(left)}")


def check(condition, text):
    if not condition:
        sys.exit(text)


def wait_for(condition, what):
    """Lets signals come in until the condition holds."""
    context = GLib.MainContext.default()
    late = []
    source = GLib.timeout_add(PATIENCE_MS, lambda: late.append(True) or False)
    while not condition():
        check(not late, f"waited in vain for {what}")
        context.iteration(True)
    if not late:
        GLib.source_remove(source)
