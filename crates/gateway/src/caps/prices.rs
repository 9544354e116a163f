//! What models cost: a file of the operator's. There is none built in: a price that is not today's would be counted as if it were.

use std::path::{Path, PathBuf};

use luthien_wire::usage::Usage;
use serde::{Deserialize, Deserializer};

use super::dollars::{decimal, decimal_text};
use crate::config::ModelPattern;
use crate::settings::read_yaml;

/// Prices are exact to a millionth of a dollar for a million tokens.
const DIGITS: u32 = 6;

/// What one token of a model costs, in picodollars: as many as micro-dollars for a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

impl Price {
    /// What these tokens cost, in billionths of a dollar, rounded up once.
    pub fn of(self, usage: Usage) -> u64 {
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let parts = [
            part(usage.input, self.input),
            part(usage.output, self.output),
            part(usage.cache_read, self.cache_read),
            part(usage.cache_write, self.cache_write),
        ];
        let pico = parts.into_iter().fold(0_u128, u128::saturating_add);
        u64::try_from(pico.div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the price file {}: {why}", path.display())]
pub struct PriceError {
    path: PathBuf,
    why: String,
}

/// What models cost.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    file: Option<PathBuf>,
    rules: Vec<(ModelPattern, Price)>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    prices: Vec<Rule>,
}

/// Dollars for a million tokens each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(rename = "match")]
    pattern: String,
    input: PerMillion,
    output: PerMillion,
    cache_read: Option<PerMillion>,
    cache_write: Option<PerMillion>,
}

/// Picodollars for one token.
#[derive(Clone, Copy)]
struct PerMillion(u64);

impl<'de> Deserialize<'de> for PerMillion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = decimal_text(deserializer)?;
        decimal(&text, DIGITS).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is no price: write dollars for a million tokens, such as 3 or 0.25, of at most {DIGITS} digits behind the point"
            ))
        })
    }
}

impl Prices {
    /// Reads a file, YAML or JSON.
    pub fn read(path: &Path) -> Result<Self, PriceError> {
        let wrong = |why: String| PriceError { path: path.to_owned(), why };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let rules = Self::parse(&text).map_err(wrong)?.rules;
        Ok(Self { file: Some(path.to_owned()), rules })
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_value(read_yaml(text)?).map_err(|error| error.to_string())?;
        let mut rules: Vec<(ModelPattern, Price)> = Vec::new();
        for rule in written.prices {
            let pattern = ModelPattern::parse(&rule.pattern).map_err(|why| format!("`{}`: {why}", rule.pattern))?;
            if let Some((earlier, _)) = rules.iter().find(|(earlier, _)| earlier.covers(&pattern)) {
                return Err(format!(
                    "`{pattern}` never counts: `{earlier}` before it takes all of it; put this one first"
                ));
            }
            let PerMillion(input) = rule.input;
            let or_input = |price: Option<PerMillion>| price.map_or(input, |price| price.0);
            let price = Price {
                input,
                output: rule.output.0,
                cache_read: or_input(rule.cache_read),
                cache_write: or_input(rule.cache_write),
            };
            rules.push((pattern, price));
        }
        Ok(Self { file: None, rules })
    }

    /// What a model costs; the first rule that matches counts.
    pub fn of(&self, model: &str) -> Option<Price> {
        self.rules.iter().find(|(pattern, _)| pattern.matches(model).is_some()).map(|(_, price)| *price)
    }

    /// The file, for messages.
    pub(super) fn place(&self) -> String {
        self.file.as_ref().map_or_else(|| "PRICE_FILE (none is set)".to_owned(), |file| file.display().to_string())
    }
}
