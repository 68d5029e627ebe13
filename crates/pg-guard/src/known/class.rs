//! What is known of a function.

/// What is known of a function, from the mildest to the strictest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// It changes nothing that ROLLBACK does not undo.
    Harmless,
    /// The author of a known extension answers for it: it is harmless unless it is volatile.
    AsDeclared,
    /// It returns secrets, for this reason, and changes nothing.
    Secret(&'static str),
    /// It does harm, or runs what nobody has looked at, for this reason.
    Live(&'static str),
    /// Nothing is known.
    #[default]
    Unknown,
}
