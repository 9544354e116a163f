//! Changes inputs by what they consist of: events left out, doubled, moved, and JSON values put in each other's place. Bytes
//! alone seldom make an event that is well formed and lies.

use serde_json::Value;

/// Changes the first `size` bytes of `data` in a way that follows from `seed`, to at most `room` bytes; gives how many.
pub fn mutate(data: &mut [u8], size: usize, room: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    if dice.roll(3) > 0
        && let Some(changed) = by_parts(&data[..size], &mut dice)
        && changed.len() <= room
    {
        data[..changed.len()].copy_from_slice(&changed);
        return changed.len();
    }
    libfuzzer_sys::fuzzer_mutate(data, size, room)
}

/// Xorshift.
struct Dice(u64);

impl Dice {
    /// Less than `sides`, which is more than none.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides
    }
}

/// A stream's event, or a body.
enum Part {
    /// JSON, and whether it stands in an event, with its name before it.
    Json { named: bool, event: bool, value: Value },
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Part {
    fn read(bytes: &[u8]) -> Self {
        let other = || Self::Bytes(bytes.to_vec());
        let Ok(text) = std::str::from_utf8(bytes) else { return other() };
        if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
            return Self::Json { named: false, event: false, value };
        }
        let data = text.lines().find_map(|line| line.strip_prefix("data:"));
        match data.and_then(|data| serde_json::from_str(data).ok()) {
            Some(value @ Value::Object(_)) => Self::Json { named: text.starts_with("event:"), event: true, value },
            _ => other(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Json { event: false, value, .. } => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Json { named, value, .. } => {
                if let (true, Some(name)) = (named, value["type"].as_str()) {
                    out.extend_from_slice(format!("event: {name}\n").as_bytes());
                }
                out.extend_from_slice(format!("data: {value}\n\n").as_bytes());
            }
        }
    }
}

fn by_parts(input: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\n\n").map_or(rest.len(), |at| at + 2);
        parts.push(Part::read(&rest[..end]));
        rest = &rest[end..];
    }
    for _ in 0..=dice.roll(3) {
        if parts.is_empty() {
            return None;
        }
        let (at, to) = (dice.roll(parts.len()), dice.roll(parts.len()));
        match dice.roll(9) {
            0 => drop(parts.remove(at)),
            1 => {
                let mut copy = Vec::new();
                parts[at].write(&mut copy);
                parts.insert(to, Part::read(&copy));
            }
            2 => parts.swap(at, to),
            3 => {
                let part = parts.remove(at);
                parts.insert(to.min(parts.len()), part);
            }
            4..=6 => {
                let graft = values(&parts[to]).map(|mut all| all.swap_remove(dice.roll(all.len())).clone());
                if let (Some(graft), Part::Json { value, .. }) = (graft, &mut parts[at]) {
                    *any_inside(value, dice) = graft;
                }
            }
            7 => {
                if let Part::Json { value, .. } = &mut parts[at] {
                    let small = dice.roll(4).into();
                    *any_inside(value, dice) = small;
                }
            }
            _ => {
                if let Part::Json { value, .. } = &mut parts[at] {
                    remove_any(value, dice);
                }
            }
        }
    }
    let mut out = Vec::with_capacity(input.len());
    parts.iter().for_each(|part| part.write(&mut out));
    Some(out)
}

/// All values of a part, at any depth; at least one.
fn values(part: &Part) -> Option<Vec<&Value>> {
    fn gather<'a>(value: &'a Value, out: &mut Vec<&'a Value>) {
        match value {
            Value::Object(members) => members.values().for_each(|value| {
                out.push(value);
                gather(value, out);
            }),
            Value::Array(elements) => elements.iter().for_each(|value| {
                out.push(value);
                gather(value, out);
            }),
            _ => {}
        }
    }
    let Part::Json { value, .. } = part else { return None };
    let mut out = vec![value];
    gather(value, &mut out);
    Some(out)
}

/// A value somewhere inside.
fn any_inside<'a>(value: &'a mut Value, dice: &mut Dice) -> &'a mut Value {
    if !has_inside(value) {
        return value;
    }
    let inside = match value {
        Value::Object(members) => {
            let at = dice.roll(members.len());
            members.values_mut().nth(at)
        }
        Value::Array(elements) => {
            let at = dice.roll(elements.len());
            elements.get_mut(at)
        }
        _ => None,
    };
    let inside = inside.expect("it has some");
    if dice.roll(3) > 0 { any_inside(inside, dice) } else { inside }
}

fn has_inside(value: &Value) -> bool {
    match value {
        Value::Object(members) => !members.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        _ => false,
    }
}

/// Takes a member or element away, somewhere inside.
fn remove_any(value: &mut Value, dice: &mut Dice) {
    match any_inside(value, dice) {
        Value::Object(members) if !members.is_empty() => {
            let at = dice.roll(members.len());
            if let Some(name) = members.keys().nth(at).cloned() {
                members.remove(&name);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            let at = dice.roll(elements.len());
            elements.remove(at);
        }
        other => *other = Value::Null,
    }
}
