//! Money, counted in billionths of a dollar, so that nothing is lost in rounding.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Billionths in a dollar, as digits behind the point.
const DIGITS: u32 = 9;

/// Dollars, exact to a billionth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dollars(u64);

impl Dollars {
    /// So many billionths.
    pub fn of_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In billionths.
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// Reads a decimal number that is not negative, such as `12.5`.
    pub fn parse(text: &str) -> Result<Self, String> {
        decimal(text, DIGITS).map(Self).ok_or_else(|| {
            format!("`{}` is no amount of dollars: write a number such as 5 or 0.25, of at most {DIGITS} digits behind the point", text.chars().take(40).collect::<String>())
        })
    }
}

/// A decimal number in units of its last digit, of which there are so many behind the point.
pub(super) fn decimal(text: &str, digits: u32) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let part_digits = u32::try_from(part.len()).ok().filter(|count| *count <= digits)?;
    if whole.is_empty() || (text.contains('.') && part.is_empty()) || !is_number(whole) || !is_number(part) {
        return None;
    }
    let one = 10_u64.checked_pow(digits)?;
    let part = if part.is_empty() { 0 } else { part.parse::<u64>().ok()? };
    let part = part.checked_mul(10_u64.checked_pow(digits - part_digits)?)?;
    whole.parse::<u64>().ok()?.checked_mul(one)?.checked_add(part)
}

/// A number or a text, as the text that it is written with.
pub(super) fn decimal_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Text(text) => text.trim().to_owned(),
        Written::Number(number) if number.is_f64() => {
            // What a person wrote in a few digits is written so again, without an exponent.
            number.as_f64().map(|number| number.to_string()).unwrap_or_default()
        }
        Written::Number(number) => number.to_string(),
    })
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u64.pow(DIGITS);
        let (whole, part) = (self.0 / one, self.0 % one);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let part = format!("{part:09}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&decimal_text(deserializer)?).map_err(serde::de::Error::custom)
    }
}
