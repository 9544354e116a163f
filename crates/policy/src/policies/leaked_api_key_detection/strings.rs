//! Every string of a JSON text, decoded, with the place where it stands. Repeated members are seen too.

use std::fmt;

use luthien_wire::json;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Where a string stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    member: &'a str,
    element: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Other members have names that a client makes up.
        let member = match self.member {
            "messages" | "system" | "input" | "instructions" | "tools" | "metadata" | "prompt" => self.member,
            _ => "another field",
        };
        match self.element {
            Some(element) => write!(f, "{member}[{element}]"),
            None => f.write_str(member),
        }
    }
}

/// Visits the strings of a request's body: those of its members, and of each element where a member is a list.
pub(super) fn each(body: &str, visit: &mut dyn FnMut(Place<'_>, &str)) {
    let members = json::members(body).unwrap_or_default();
    for (member, span) in &members {
        let raw = &body[span.clone()];
        match json::elements(raw) {
            Some(elements) => {
                for (element, span) in elements.into_iter().enumerate() {
                    within(&raw[span], Place { member, element: Some(element) }, visit);
                }
            }
            None => within(raw, Place { member, element: None }, visit),
        }
        visit(Place { member, element: None }, member);
    }
}

fn within(raw: &str, place: Place<'_>, visit: &mut dyn FnMut(Place<'_>, &str)) {
    let mut reader = serde_json::Deserializer::from_str(raw);
    let read = Strings(&mut |text: &str| visit(place, text)).deserialize(&mut reader);
    if read.is_err() {
        // Nested too deeply to be read: as it stands.
        visit(place, raw);
    }
}

struct Strings<'a>(&'a mut dyn FnMut(&str));

impl<'de> DeserializeSeed<'de> for Strings<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strings<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        (self.0)(text);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Strings(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Strings(self.0))?.is_some() {
            map.next_value_seed(Strings(self.0))?;
        }
        Ok(())
    }
}
