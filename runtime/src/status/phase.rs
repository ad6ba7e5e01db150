//! The life of a trigger, in the words of Lambda.

/// In which phase of its life a trigger is: the states of an event source mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// It is being set up.
    #[default]
    Creating,
    /// It begins to deliver again.
    Enabling,
    /// It delivers, or waits for what it needs.
    Enabled,
    /// It stops to deliver.
    Disabling,
    /// It does not deliver, and keeps its place.
    Disabled,
    /// It gets other settings.
    Updating,
    /// It is being taken away.
    Deleting,
}

impl Phase {
    /// As Lambda writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Enabling => "Enabling",
            Self::Enabled => "Enabled",
            Self::Disabling => "Disabling",
            Self::Disabled => "Disabled",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
        }
    }
}
