//! Bodies of `Waits`.

use std::collections::BTreeMap;

use super::{KeyBody, SetBody, WireError, WireKey, keys_from_wire};
use crate::{
    message::{ClaimKey, HoldKey, HoldWait, WaitOn},
    name::UnitName,
    sync::{Delta, Generation},
};

/// `(s unit, s source, s token, a(s node, s unit, s token, as via))`.
pub type WaitBody = (
    String,
    String,
    String,
    Vec<(String, String, String, Vec<String>)>,
);
/// Body of `Waits`.
pub type WaitsBody = SetBody<WaitBody, KeyBody>;
/// Writes a message about what starts wait for.
pub fn waits_to_wire(delta: &Delta<HoldKey, HoldWait>) -> WaitsBody {
    let put = delta.put.iter().map(|(key, wait)| {
        let (unit, source) = key.to_wire();
        let on = wait.on.iter().map(|(claim, WaitOn { token, via })| {
            let (node, unit) = claim.to_wire();
            let via = via.iter().map(UnitName::to_string).collect();
            (node, unit, token.to_string(), via)
        });
        (unit, source, wait.token.to_string(), on.collect())
    });
    SetBody {
        generation: delta.generation.0,
        full: delta.full,
        put: put.collect(),
        drop: delta.drop.iter().map(WireKey::to_wire).collect(),
    }
}

/// Reads a message about what starts wait for.
///
/// # Errors
///
/// Says which part is not valid; the message as a whole is refused.
pub fn waits_from_wire(body: &WaitsBody) -> Result<Delta<HoldKey, HoldWait>, WireError> {
    let put = body.put.iter().map(|(unit, source, token, on)| {
        let on = on.iter().map(|(node, unit, token, via)| {
            let via = via.iter().map(|unit| Ok(unit.parse()?));
            let on = WaitOn {
                token: token.parse()?,
                via: via.collect::<Result<_, WireError>>()?,
            };
            Ok((ClaimKey::from_wire(node, unit)?, on))
        });
        let wait = HoldWait {
            token: token.parse()?,
            on: on.collect::<Result<BTreeMap<_, _>, WireError>>()?,
        };
        Ok((HoldKey::from_wire(unit, source)?, wait))
    });
    Ok(Delta {
        generation: Generation(body.generation),
        full: body.full,
        put: put.collect::<Result<_, WireError>>()?,
        drop: keys_from_wire(&body.drop)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Token;
    use zbus::wire::Type as _;

    #[test]
    fn the_signature_is_that_of_the_document() {
        assert_eq!(WaitsBody::SIGNATURE.to_string(), "(tba(sssa(sssas))a(ss))");
    }

    #[test]
    fn waits_are_read_as_they_are_written() {
        let hold = HoldKey {
            unit: "t.service".parse().expect("name"),
            source: "a".parse().expect("name"),
        };
        let claim = ClaimKey {
            node: "b".parse().expect("name"),
            unit: "u.service".parse().expect("name"),
        };
        let on = WaitOn {
            token: Token([4; 16]),
            via: vec!["c.service".parse().expect("name")],
        };
        let wait = HoldWait {
            token: Token([3; 16]),
            on: BTreeMap::from([(claim, on)]),
        };
        let delta = Delta {
            generation: Generation(2),
            full: true,
            put: vec![(hold.clone(), wait)],
            drop: vec![hold],
        };
        assert_eq!(waits_from_wire(&waits_to_wire(&delta)), Ok(delta));
    }
}
