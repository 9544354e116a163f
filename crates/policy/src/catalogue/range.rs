//! Field readers that refuse what may not be, so that the refusal carries the field's path.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

fn within<'de, D: Deserializer<'de>>(reader: D, range: RangeInclusive<f64>) -> Result<f64, D::Error> {
    let number = f64::deserialize(reader)?;
    if range.contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("must be from {} to {}, is {number}", range.start(), range.end())))
}

/// A probability, 0 to 1.
pub(crate) fn probability<'de, D: Deserializer<'de>>(reader: D) -> Result<f64, D::Error> {
    within(reader, 0.0..=1.0)
}

/// A sampling temperature, 0 to 2.
pub(crate) fn temperature<'de, D: Deserializer<'de>>(reader: D) -> Result<f64, D::Error> {
    within(reader, 0.0..=2.0)
}

/// Seconds between two tries, 0 to 30.
pub(crate) fn delay<'de, D: Deserializer<'de>>(reader: D) -> Result<f64, D::Error> {
    within(reader, 0.0..=30.0)
}

/// Seconds that something may take, 0.01 to 600.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(reader: D) -> Result<f64, D::Error> {
    within(reader, 0.01..=600.0)
}

/// How many of something there may be, 1 to 10000.
pub(crate) fn count<'de, D: Deserializer<'de>>(reader: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(reader)?;
    if (1..=10_000).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("must be from 1 to 10000, is {number}")))
}

/// Seconds for which something is remembered, 0 to a day.
pub(crate) fn cache_seconds<'de, D: Deserializer<'de>>(reader: D) -> Result<f64, D::Error> {
    within(reader, 0.0..=86_400.0)
}

/// How often to try again, 0 to 10.
pub(crate) fn retries<'de, D: Deserializer<'de>>(reader: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(reader)?;
    if number <= 10 { Ok(number) } else { Err(D::Error::custom(format!("must be from 0 to 10, is {number}"))) }
}

/// A number of tokens, at least 1.
pub(crate) fn tokens<'de, D: Deserializer<'de>>(reader: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(reader)?;
    if number > 0 { Ok(number) } else { Err(D::Error::custom("must be at least 1, is 0")) }
}

/// A text that is not blank.
pub(crate) fn some_text<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let text = String::deserialize(reader)?;
    if text.trim().is_empty() { Err(D::Error::custom("must not be empty")) } else { Ok(text) }
}

/// An address that begins with `http://` or `https://`.
pub(crate) fn web_address<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let text = String::deserialize(reader)?;
    let known = ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    // It is shown to people as a link.
    if known && text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(D::Error::custom("must be an address that begins with http:// or https://"))
    }
}

/// A text that has at least one character, blanks included.
pub(crate) fn not_empty<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    let text = String::deserialize(reader)?;
    if text.is_empty() { Err(D::Error::custom("must not be empty")) } else { Ok(text) }
}

/// A `T` from an object alone: a derived reader would take a list of the fields' values, too.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    reader.deserialize_any(Object(PhantomData))
}
