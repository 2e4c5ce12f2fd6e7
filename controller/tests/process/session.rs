//! `--user`: the public interface on the session bus of whoever runs it.

use crate::{
    bus::Bus,
    daemon::{Folder, controller_on_bus, wait_until},
};

#[test]
fn with_user_it_has_its_names_and_methods_on_the_session_bus() {
    let (folder, bus) = (Folder::new("session"), Bus::start());
    let socket = folder.path("c.sock");
    let config = format!("[listen]\nunix = \"{}\"\n[node.a]\n", socket.display());
    let _daemon = controller_on_bus(&folder, &config, &bus.address);
    let call = |service: &str, interface: &str, member: &[&str]| {
        let object = ["call", service, "/org/eclipse/bluechi", interface];
        bus.busctl(&[&object[..], member].concat())
    };
    for service in ["org.eclipse.bluechi", "org.unitlink"] {
        let list = || call(service, "org.eclipse.bluechi.Controller", &["ListNodes"]);
        wait_until("it is on the bus", || list().is_ok());
        let expected = "a(soss) 1 \"a\" \"/org/eclipse/bluechi/node/a\" \"offline\" \"\"";
        assert_eq!(list().as_deref(), Ok(expected));
        let node = ["GetNode", "s", "b"];
        assert!(call(service, "org.eclipse.bluechi.Controller", &node).is_err());
    }
    let tree = bus.busctl(&["tree", "--list", "org.unitlink"]);
    assert!(tree.is_ok_and(|tree| tree.contains("/org/eclipse/bluechi/node/a")));
}
