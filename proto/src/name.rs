//! Names: of nodes, of units, and of the two units that stand for something on another node.
//!
//! A name is parsed once, where it enters; inside, its type says that it is valid.
//!
//! * [`NodeName`]: a node of the fleet.
//! * [`UnitName`]: a unit of systemd, as systemd.unit(5) spells it.
//! * [`ProxyName`]: `proxy@NODE_UNIT.service`, the need of one unit of another node.
//!   `conflict@NODE_UNIT.service`, the need that it does not run.
//! * [`HoldName`]: `dep@UNIT.service`, what keeps a unit up for other nodes.
//! * [`rival_of`]: `against@UNIT.service`, what keeps a unit from running for other nodes.

mod hold;
mod node;
mod pair;
mod path;
mod pattern;
mod proxy;
mod rival;
mod unit;

pub use hold::HoldName;
pub use node::{NODE_NAME_BYTES_MAX, NodeName, NodeNameError};
pub use path::{path_element, path_element_decode};
pub use pattern::{UnitPattern, UnitPatternError};
pub use proxy::{ProxyName, ProxyNameError};
pub use rival::{rival_of, rivalled_by};
pub use unit::{UNIT_NAME_BYTES_MAX, UnitName, UnitNameError, UnitType};
