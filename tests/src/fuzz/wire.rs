use std::fmt::Debug;

use proto::{
    message::{Claim, ClaimKey, Hold, HoldKey},
    sync::{Delta, Listener, Teller},
    wire::{
        Facts, WireError, hello_from_wire, hello_to_wire, needs_from_wire, needs_to_wire,
        states_from_wire, states_to_wire, waits_from_wire, waits_to_wire, welcome_from_wire,
        welcome_to_wire,
    },
};
use serde::Deserialize;
use zbus::wire::{
    BE, LE, Type,
    serialized::{Context, Data},
};

/// How many entries a set may have here.
const ENTRIES_MAX: usize = 16;

/// The body of any message between agent and controller is refused, or means what it means when
/// it is written again; a set that was told is the set that was meant.
pub fn wire(bytes: &[u8]) {
    let [kind, endian, body @ ..] = bytes else {
        return;
    };
    let context = Context::new(if endian % 2 == 0 { LE } else { BE }, 0);
    match kind % 7 {
        0 => sets(
            body,
            context,
            needs_from_wire::<ClaimKey, Claim>,
            needs_to_wire,
        ),
        1 => sets(
            body,
            context,
            needs_from_wire::<HoldKey, Hold>,
            needs_to_wire,
        ),
        2 => sets(body, context, states_from_wire::<ClaimKey>, states_to_wire),
        3 => sets(body, context, states_from_wire::<HoldKey>, states_to_wire),
        4 => sets(body, context, waits_from_wire, waits_to_wire),
        5 => {
            if let Some((name, facts)) = read::<(String, Facts)>(body, context)
                && let Ok(hello) = hello_from_wire(&name, &facts)
            {
                let (name, facts) = hello_to_wire(&hello);
                assert_eq!(hello_from_wire(&name, &facts), Ok(hello));
            }
        }
        _ => {
            if let Some(facts) = read::<Facts>(body, context)
                && let Ok(welcome) = welcome_from_wire(&facts)
            {
                assert_eq!(welcome_from_wire(&welcome_to_wire(&welcome)), Ok(welcome));
            }
        }
    }
}

fn read<T: for<'d> Deserialize<'d> + Type>(body: &[u8], context: Context) -> Option<T> {
    let (value, _) = Data::new(body, context).deserialize::<T>().ok()?;
    Some(value)
}

/// Messages one after the other, each with its length in two bytes in front of it.
fn sets<B, K, V>(
    mut bytes: &[u8],
    context: Context,
    from_wire: impl Fn(&B) -> Result<Delta<K, V>, WireError>,
    to_wire: impl Fn(&Delta<K, V>) -> B,
) where
    B: for<'d> Deserialize<'d> + Type,
    K: Ord + Clone + Debug,
    V: Clone + PartialEq + Debug,
{
    let mut listener = Listener::default();
    listener.connected();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (body, rest) = rest.split_at(length);
        bytes = rest;
        let Some(body) = read::<B>(body, context) else {
            continue;
        };
        let Ok(delta) = from_wire(&body) else {
            continue;
        };
        let again = from_wire(&to_wire(&delta));
        assert_eq!(again.as_ref(), Ok(&delta));
        let before = listener.entries().clone();
        if listener.hear(delta, ENTRIES_MAX).is_err() {
            assert_eq!(listener.entries(), &before);
        }
        assert!(listener.entries().len() <= ENTRIES_MAX);
    }
    told(&listener);
}

/// Telling somebody else what was heard tells the same.
fn told<K: Ord + Clone + Debug, V: Clone + PartialEq + Debug>(heard: &Listener<K, V>) {
    let mut teller = Teller::default();
    for (key, value) in heard.entries() {
        teller.put(key.clone(), value.clone());
    }
    teller.connected();
    let mut other = Listener::default();
    other.connected();
    while let Some(delta) = teller.poll() {
        let generation = delta.generation;
        assert!(other.hear(delta, ENTRIES_MAX).is_ok());
        assert!(teller.acknowledged(generation).is_ok());
    }
    assert_eq!(other.entries(), heard.entries());
}
