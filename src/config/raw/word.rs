//! Values that are one of a few words.

/// Reads the words of an enum from text alone. figment would also take a number, for the index of a
/// variant, and says of other types no more than the name of the enum.
macro_rules! words {
    ($($name:ident),+) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        // No word is empty, and the error lists them all.
                        let none = serde::de::value::StrDeserializer::<figment::Error>::new("");
                        match $name::deserialize(none).map_err(|error| error.kind) {
                            Err(figment::error::Kind::UnknownVariant(_, words)) => {
                                write!(f, "one of {}", crate::config::explain::list(words))
                            }
                            _ => f.write_str("a word"),
                        }
                    }

                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$name, E> {
                        $name::deserialize(serde::de::value::StrDeserializer::new(word))
                    }
                }

                deserializer.deserialize_str(Visitor)
            }
        }
    )+};
}

pub(super) use words;
