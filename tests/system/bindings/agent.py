"""Everything of an agent's API, with the bindings that BlueChi's users have."""

import sys

from bluechi.api import Agent

from common import Record, check, wait_for

record = Record()
agent = Agent()

for member in (
    "Status",
    "ControllerAddress",
    "LogLevel",
    "LogTarget",
    "DisconnectTimestamp",
    "DisconnectTimestampMonotonic",
    "LastSeenTimestamp",
    "LastSeenTimestampMonotonic",
):
    record(f"Agent.{member}")
check(agent.status == "online", agent.status)
check(agent.log_level != "" and agent.log_target != "", "no log")
check(agent.disconnect_timestamp == 0 and agent.disconnect_timestamp_monotonic == 0, "offline")
check(agent.last_seen_timestamp > agent.last_seen_timestamp_monotonic > 0, "never seen")

# A proxy that no unit stands for is refused, and says why.
invalid = "org.freedesktop.DBus.Error.InvalidArgs"
names = ("bluechi-proxy@worker2_slow.service", "worker2", "slow.service")
record("Agent.CreateProxy")
record.refused(invalid, agent.create_proxy, "slow.service", "worker2", "slow.service")
record.refused(invalid, agent.create_proxy, names[0], "worker1", names[2])
record.refused("org.eclipse.bluechi.ActivationFailed", agent.create_proxy, *names)
record("Agent.RemoveProxy", agent.remove_proxy, *names)

statuses, addresses = [], []
agent.on_status_changed(lambda value: statuses.append(value.get_string()))
agent.on_controller_address_changed(lambda value: addresses.append(value.get_string()))
address = agent.controller_address
record.refused(invalid, agent.switch_controller, "nowhere")
record("Agent.SwitchController", agent.switch_controller, "tcp:host=127.0.0.1,port=9")
wait_for(lambda: "offline" in statuses and addresses, "the link to be lost")
check(agent.disconnect_timestamp > 0, "offline since never")
agent.switch_controller(address)
wait_for(lambda: statuses[-1] == "online" and addresses[-1] == address, "the link to be back")

record.finish("Agent")
print("all was tried", flush=True)
sys.exit(0)
