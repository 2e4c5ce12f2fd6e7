//! The kinds of dependency.

/// How `source` depends on `target`.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// The settings of the source; `@` is the target, or its proxy.
    pub(super) settings: &'static str,
    /// Whether something else has the target up before.
    pub(super) keeper: bool,
}

const fn kind(name: &'static str, settings: &'static str) -> Kind {
    Kind {
        name,
        settings,
        keeper: false,
    }
}

pub(super) const KINDS: &[Kind] = &[
    kind("wants", "Wants=@\nAfter=@"),
    kind("requires", "Requires=@\nAfter=@"),
    kind("requires without after", "Requires=@"),
    kind("binds to", "BindsTo=@\nAfter=@"),
    kind("upholds", "Upholds=@\nAfter=@"),
    Kind {
        name: "requisite",
        settings: "Requisite=@\nAfter=@",
        keeper: true,
    },
    kind("part of", "Wants=@\nPartOf=@\nAfter=@"),
    kind(
        "stop propagated from",
        "Wants=@\nAfter=@\nStopPropagatedFrom=@",
    ),
    kind("propagates stop to", "Wants=@\nAfter=@\nPropagatesStopTo=@"),
    kind(
        "propagates reload to",
        "Requires=@\nAfter=@\nPropagatesReloadTo=@",
    ),
    kind(
        "reload propagated from",
        "Requires=@\nAfter=@\nReloadPropagatedFrom=@",
    ),
    kind("before", "Wants=@\nBefore=@"),
    kind("on failure", "OnFailure=@"),
    kind("on success", "OnSuccess=@"),
    kind("conflicts", "Conflicts=@"),
];
