//! Names of rows, organisations and keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; version 7, so ids made later sort later.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id! {
    /// The id of one call and of its row. Version 7 unless the caller brought its own.
    RecordId
}
id! {
    /// An organisation: the tenant that keys, rows, limits and prices belong to.
    OrgId
}
id! {
    /// One of our API keys. Never the key itself.
    KeyId
}

impl RecordId {
    /// The W3C span id of the call, where it was given none: the id's last eight bytes, which are random.
    #[must_use]
    pub fn span_id(self) -> [u8; 8] {
        let [.., a, b, c, d, e, f, g, h] = self.0.into_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

impl OrgId {
    /// The organisation made on the first start, and the one that calls without a valid key are recorded under.
    pub const HOME: Self = Self(Uuid::nil());
}
