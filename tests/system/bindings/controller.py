"""Everything of the controller's API, with the bindings that BlueChi's users have."""

from bluechi.api import Controller, Job, Metrics, Monitor, Node
from bluechi.ext import Unit
from dasbus.connection import AddressedMessageBus, SystemMessageBus
from dasbus.typing import Variant

from common import Record, check, wait_for

FREEDESKTOP = "org.freedesktop.DBus.Error"
UNIT = "org.freedesktop.systemd1.Unit"

record = Record()
controller = Controller()

# ---- the controller ----

record("Controller.Status")
record("Controller.LogLevel")
record("Controller.LogTarget")
check(controller.status == "up", controller.status)
check(controller.log_target != "", "no target")
nodes = record("Controller.ListNodes", controller.list_nodes)
check([row[0] for row in nodes] == ["main", "worker1", "worker2"], nodes)
check(all(row[2] == "online" for row in nodes), nodes)
units = record("Controller.ListUnits", controller.list_units)
check(set(units) == {"main", "worker1", "worker2"}, list(units))
check(all(len(row) == 10 for rows in units.values() for row in rows), "rows")
files = record("Controller.ListUnitFiles", controller.list_unit_files)
check(any(path.endswith("/slow.service") for path, _ in files["worker1"]), "no slow.service")
path = record("Controller.GetNode", controller.get_node, "worker1")
check(path == dict((row[0], row[1]) for row in nodes)["worker1"], path)
record.refused(f"{FREEDESKTOP}.InvalidArgs", controller.get_node, "nobody")
for level in ("DEBUG", "warn", "Info"):
    record("Controller.SetLogLevel", controller.set_log_level, level)
    check(controller.log_level == level.upper(), controller.log_level)
record.refused(f"{FREEDESKTOP}.InvalidArgs", controller.set_log_level, "loud")

# Who asks by names alone, which two interfaces have, is answered as by BlueChi.
bare = SystemMessageBus().get_proxy("org.eclipse.bluechi", "/org/eclipse/bluechi")
check([row[0] for row in bare.ListNodes()] == ["main", "worker1", "worker2"], bare.ListNodes())
check(all(len(row) == 10 for row in bare.ListUnits()["worker1"]), "rows")
check(bare.Status == "up", bare.Status)

# ---- nodes ----

node = Node("worker1")
for member in ("Name", "Status", "PeerIp", "LastSeenTimestamp", "LastSeenTimestampMonotonic"):
    record(f"Node.{member}")
check(node.name == "worker1" and node.status == "online", node.name)
check(node.peer_ip == "10.77.0.2", node.peer_ip)
check(node.last_seen_timestamp > node.last_seen_timestamp_monotonic > 0, "never seen")
check(len(record("Node.ListUnits", node.list_units)) > 10, "few units")
check(len(record("Node.ListUnitFiles", node.list_unit_files)) > 10, "few files")

jobs = {}
ended = {}
states = []
controller.on_job_new(lambda number, path: jobs.__setitem__(path, number))
controller.on_job_removed(
    lambda number, path, on, unit, result: ended.__setitem__(path, (number, on, unit, result))
)


def done(member, path, result="done", unit="slow.service"):
    """A job that is announced and ends."""
    wait_for(lambda: path in ended, f"the end of {member}")
    record("Controller.JobNew")
    record("Controller.JobRemoved")
    check(path in jobs, f"{member}: {path} was not announced")
    check(ended[path] == (jobs[path], "worker1", unit, result), f"{member}: {ended[path]}")


for method, call in (
    ("StartUnit", node.start_unit),
    ("ReloadUnit", node.reload_unit),
    ("RestartUnit", node.restart_unit),
    ("StopUnit", node.stop_unit),
):
    done(method, record(f"Node.{method}", call, "slow.service", "replace"))
done("a start that fails", node.start_unit("fails.service", "replace"), "failed", "fails.service")
record.refused("org.freedesktop.systemd1.NoSuchUnit", node.start_unit, "no.service", "replace")
record.refused("org.freedesktop.systemd1.BadUnitSetting", node.start_unit, "broken.service", "replace")
record.refused(f"{FREEDESKTOP}.InvalidArgs", node.start_unit, "no suffix", "replace")
record.refused(f"{FREEDESKTOP}.InvalidArgs", node.start_unit, "slow.service", "sideways")
# What BlueChi's users write most.
check(Unit("worker1").start_unit("slow.service") == "done", "Unit.start_unit")

# ---- a job, and its end by cancel ----

path = node.start_unit("endless.service", "replace")
job = Job(path)
for member in ("Id", "Node", "Unit", "JobType", "State"):
    record(f"Job.{member}")
check((job.node, job.unit, job.job_type) == ("worker1", "endless.service", "start"), job.unit)
check(path.endswith(f"/{job.id}"), f"{job.id} {path}")
job.on_state_changed(lambda value: states.append(value))
wait_for(lambda: job.state == "running", "the job to run")
# One that waits for it is taken back before systemd works on it.
waiting = node.start_unit("queued.service", "replace")
check(Job(waiting).state == "waiting", "it does not wait")
Job(waiting).cancel()
done("Cancel of one that waits", waiting, "canceled", "queued.service")
record("Job.Cancel", job.cancel)
done("Cancel", path, "canceled", "endless.service")
record.refused(f"{FREEDESKTOP}.UnknownObject", Job(path).cancel)

# ---- what passes through to systemd ----

pid = node.get_unit_property("slow.service", "org.freedesktop.systemd1.Service", "MainPID")
record("Node.GetUnitProperty")
check(pid.get_uint32() > 1, "no process")
for interface in ("", UNIT):
    properties = record("Node.GetUnitProperties", node.get_unit_properties, "slow.service", interface)
    check(properties["ActiveState"].get_string() == "active", interface)
record("Node.FreezeUnit", node.freeze_unit, "slow.service")
frozen = node.get_unit_property("slow.service", UNIT, "FreezerState")
check(frozen.get_string() == "frozen", "not frozen")
record("Node.ThawUnit", node.thaw_unit, "slow.service")
weight = [("CPUWeight", Variant("t", 77))]
record("Node.SetUnitProperties", node.set_unit_properties, "slow.service", True, weight)
weight = node.get_unit_property("slow.service", "org.freedesktop.systemd1.Service", "CPUWeight")
check(weight.get_uint64() == 77, weight)
record("Node.KillUnit", node.kill_unit, "slow.service", "main", 9)
wait_for(
    lambda: node.get_unit_property("slow.service", UNIT, "ActiveState").get_string() == "failed",
    "the death of slow.service",
)
record("Node.ResetFailedUnit", node.reset_failed_unit, "slow.service")
record("Node.ResetFailed", node.reset_failed)
state = node.get_unit_property("slow.service", UNIT, "ActiveState").get_string()
check(state == "inactive", state)
has_install, changes = record(
    "Node.EnableUnitFiles", node.enable_unit_files, ["slow.service"], False, False
)
check(has_install and changes[0][0] == "symlink", changes)
check(record("Node.GetUnitFileState", node.get_unit_file_state, "slow.service") == "enabled", "")
changes = record("Node.DisableUnitFiles", node.disable_unit_files, ["slow.service"], False)
check(changes[0][0] == "unlink", changes)
record("Node.Reload", node.reload)
target = record("Node.GetDefaultTarget", node.get_default_target)
changes = record("Node.SetDefaultTarget", node.set_default_target, "rescue.target", True)
check(changes and node.get_default_target() == "rescue.target", changes)
node.set_default_target(target, True)
record("Node.SetLogLevel", node.set_log_level, "DEBUG")
node.set_log_level("INFO")
record.refused(f"{FREEDESKTOP}.InvalidArgs", node.set_log_level, "loud")

# ---- metrics, and a unit that is made for a call ----

record("Controller.EnableMetrics", controller.enable_metrics)
metrics = Metrics()
measured = {}
metrics.on_start_unit_job_metrics(lambda *said: measured.__setitem__("start", said))
metrics.on_agent_job_metrics(lambda *said: measured.__setitem__("agent", said))
properties = [
    ("Description", Variant("s", "made for a call")),
    ("ExecStart", Variant("a(sasb)", [("/bin/sleep", ["/bin/sleep", "infinity"], False)])),
]
path = record(
    "Node.StartTransientUnit", node.start_transient_unit, "made.service", "fail", properties, []
)
done("StartTransientUnit", path, unit="made.service")
wait_for(lambda: len(measured) == 2, f"both metrics; there is {measured}")
record("Metrics.StartUnitJobMetrics")
record("Metrics.AgentJobMetrics")
check(measured["start"][:3] == ("worker1", path, "made.service"), measured)
check(measured["agent"][0] == "worker1" and measured["agent"][3] > 0, measured)
record("Controller.DisableMetrics", controller.disable_metrics)

# ---- monitors ----

monitor = Monitor(record("Controller.CreateMonitor", controller.create_monitor))
# A peer is somebody else on the bus, who is told the same at the same object; every SystemMessageBus is
# one connection, and who has made the monitor is told already.
other = AddressedMessageBus("unix:path=/run/dbus/system_bus_socket")
own = SystemMessageBus().connection.get_unique_name()
record.refused(f"{FREEDESKTOP}.InvalidArgs", monitor.add_peer, own)
peer = Monitor(monitor.object_path, bus=other)
heard = {"owner": [], "peer": []}


def listen(to, who):
    def note(signal):
        return lambda *said: heard[who].append((signal, *said))

    to.on_unit_new(note("UnitNew"))
    to.on_unit_removed(note("UnitRemoved"))
    to.on_unit_state_changed(note("UnitStateChanged"))
    to.on_unit_properties_changed(note("UnitPropertiesChanged"))
    to.on_peer_removed(note("PeerRemoved"))


listen(monitor, "owner")
listen(peer, "peer")


def told(who, *said):
    """What begins like this is told."""
    wait_for(
        lambda: any(line[: len(said)] == said for line in heard[who]),
        f"{who} to hear {said}; heard was {heard[who][-5:]}",
    )
    record(f"Monitor.{said[0]}")


number = record("Monitor.AddPeer", monitor.add_peer, other.connection.get_unique_name())
one = record("Monitor.Subscribe", monitor.subscribe, "worker1", "slow.service")
many = record("Monitor.SubscribeList", monitor.subscribe_list, "*", ["made.service", "fails.service"])
check(one != many, "one number twice")
told("owner", "UnitNew", "worker1", "made.service", "virtual")
told("owner", "UnitStateChanged", "worker1", "made.service", "active", "running", "virtual")
node.start_unit("slow.service", "replace")
for who in heard:
    told(who, "UnitStateChanged", "worker1", "slow.service", "active", "running", "real")
    told(who, "UnitPropertiesChanged", "worker1", "slow.service", UNIT)
node.stop_unit("made.service", "replace")
told("owner", "UnitRemoved", "worker1", "made.service", "real")
record("Monitor.RemovePeer", monitor.remove_peer, number, "it is enough")
told("peer", "PeerRemoved", "it is enough")
record("Monitor.Unsubscribe", monitor.unsubscribe, one)
record.refused("org.eclipse.bluechi.NoSuchSubscription", monitor.unsubscribe, one)
everything = monitor.subscribe("*", "*")
for on in ("main", "worker1", "worker2"):
    told("owner", "UnitNew", on, "*", "virtual")
told("owner", "UnitNew", "worker2", "dbus.service", "virtual")
monitor.unsubscribe(everything)
record("Monitor.Close", monitor.close)
record.refused(f"{FREEDESKTOP}.UnknownObject", monitor.close)
# Who watches nodes by a wildcard.
monitor = Monitor(controller.create_monitor())
heard["owner"] = []
listen(monitor, "owner")
monitor.subscribe("worker2", "*")

# ---- a node that goes and comes ----

print("the agent of worker2 may go", flush=True)
changes = []
controller.on_status_changed(lambda value: changes.append(value))
away = Node("worker2")
away.on_status_changed(lambda value: states.append(value))
wait_for(lambda: controller.status == "degraded", "the node to go")
check(away.status == "offline" and away.peer_ip == "", away.peer_ip)
record.refused("org.eclipse.bluechi.Offline", away.start_unit, "slow.service", "replace")
record.refused("org.eclipse.bluechi.Offline", away.list_units)
check(set(controller.list_units()) == {"main", "worker1"}, "a list without those that are away")
told("owner", "UnitStateChanged", "worker2", "*", "inactive", "agent-offline", "virtual")
told("owner", "UnitRemoved", "worker2", "*", "virtual")
heard["owner"] = []
print("the agent of worker2 may come", flush=True)
wait_for(lambda: controller.status == "up" and away.status == "online", "the node to come")
wait_for(lambda: len(changes) >= 2, f"both changes; there is {changes}")

told("owner", "UnitNew", "worker2", "*", "virtual")

record.finish("Controller", "Node", "Job", "Monitor", "Metrics")
print("all was tried", flush=True)
