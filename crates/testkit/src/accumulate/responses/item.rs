//! One item of a response while it is said.

use serde_json::{Value, json};

/// Calls whose one field comes in pieces: the item's type, the field, and the name of the events without their ending.
const PIECED: [(&str, &str, &str); 4] = [
    ("function_call", "arguments", "response.function_call_arguments"),
    ("custom_tool_call", "input", "response.custom_tool_call_input"),
    ("mcp_call", "arguments", "response.mcp_call_arguments"),
    ("code_interpreter_call", "code", "response.code_interpreter_call_code"),
];

/// Texts that come in pieces: the part's type, its field, and the name of the events without their ending.
const TEXTS: [(&str, &str, &str); 4] = [
    ("output_text", "text", "response.output_text"),
    ("refusal", "refusal", "response.refusal"),
    ("reasoning_text", "text", "response.reasoning_text"),
    ("summary_text", "text", "response.reasoning_summary_text"),
];

/// Whether the event belongs to an item and must say to which.
pub(super) fn is_known(kind: &str) -> bool {
    let named = |known: &(&str, &str, &str)| kind.starts_with(&format!("{}.", known.2));
    PIECED.iter().any(named) || TEXTS.iter().any(named) || part_list(kind).is_some()
}

/// An item that has been added and is not done.
pub(super) struct Item {
    kind: String,
    /// The item as it was added.
    added: Value,
    parts: Vec<Part>,
    summary: Vec<Part>,
    /// What has come of the field that comes in pieces, and whether its end has.
    pieces: Option<(String, bool)>,
}

#[derive(Default)]
struct Part {
    value: Value,
    said: bool,
    done: bool,
}

impl Item {
    pub(super) fn new(item: &Value) -> Result<Self, String> {
        let kind = item["type"].as_str().ok_or("W-32: an item without a type")?.to_owned();
        if !item["id"].is_string() {
            return Err(format!("W-32: {kind} without an id"));
        }
        let empty = |field: &str| item[field].is_null() || item[field] == json!([]) || item[field] == "";
        let fields = ["content", "summary", "arguments", "input", "code"];
        let starts_empty = PIECED.iter().any(|known| known.0 == kind) || kind == "message" || kind == "reasoning";
        if starts_empty && !fields.into_iter().all(empty) {
            return Err(format!("W-32: {kind} is added with what its deltas say again"));
        }
        let call = kind == "function_call" || kind == "custom_tool_call";
        if call && !(item["call_id"].is_string() && item["name"].is_string()) {
            return Err(format!("W-32: {kind} without call_id or name"));
        }
        Ok(Self { kind, added: item.clone(), parts: Vec::new(), summary: Vec::new(), pieces: None })
    }

    /// By what SDKs tell items apart.
    pub(super) fn identity(&self) -> String {
        let by_call = ["function_call", "custom_tool_call", "shell_call", "shell_call_output"];
        let id = if by_call.contains(&self.kind.as_str()) { &Value::Null } else { &self.added["id"] };
        format!("{} {id} {}", self.kind, self.added["call_id"])
    }

    /// An event of this item.
    pub(super) fn event(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        if !data["item_id"].is_null() && data["item_id"] != self.added["id"] {
            return Err(format!("W-32: {kind} with the id {}", data["item_id"]));
        }
        if is_known(kind) && data["item_id"].is_null() {
            return Err(format!("W-32: {kind} without item_id"));
        }
        let (stem, ending) = kind.rsplit_once('.').unwrap_or((kind, ""));
        if let Some((of, field, _)) = PIECED.iter().find(|known| known.2 == stem) {
            return self.piece(of, field, kind, ending, data);
        }
        if let Some((of, field, _)) = TEXTS.iter().find(|known| known.2 == stem) {
            return self.text(of, field, kind, ending, data);
        }
        match (part_list(kind), ending) {
            (Some(index), "added") => self.part_added(kind, index, data),
            (Some(_), _) => self.part_done(kind, data),
            (None, _) if kind == "response.output_text.annotation.added" => self.annotation(data),
            (None, _) => Ok(()),
        }
    }

    /// Whether the finished item is what has been said.
    pub(super) fn check(&self, done: &Value) -> Result<(), String> {
        let kind = &self.kind;
        for field in ["type", "id", "call_id", "name", "role"] {
            if done[field] != self.added[field] {
                return Err(format!("W-32: {kind} is done with another {field}"));
            }
        }
        if done["status"] == "in_progress" {
            return Err(format!("W-32: {kind} is done and in progress"));
        }
        if self.parts.iter().chain(&self.summary).any(|part| !part.done) {
            return Err(format!("W-32: {kind} is done while a part is open"));
        }
        for (field, parts) in [("content", &self.parts), ("summary", &self.summary)] {
            let said: Vec<&Value> = parts.iter().map(|part| &part.value).collect();
            let done = done[field].as_array().map_or(&[][..], Vec::as_slice);
            let parted = kind == "message" || kind == "reasoning";
            if parted && !said.iter().copied().eq(done) {
                return Err(format!("W-32: {kind} is done with another {field} than was said"));
            }
        }
        let Some((_, field, _)) = PIECED.iter().find(|known| known.0 == kind) else { return Ok(()) };
        match &self.pieces {
            Some((text, true)) if done[*field] == text.as_str() => Ok(()),
            Some((_, true)) => Err(format!("W-32: {kind} is done with another {field} than was said")),
            Some((_, false)) => Err(format!("W-32: {kind} is done before its {field}")),
            // The vendor's own calls may come whole.
            None if kind == "mcp_call" || kind == "code_interpreter_call" => Ok(()),
            None => Err(format!("W-32: {kind} is done without its {field} having been said")),
        }
    }

    fn piece(&mut self, of: &str, field: &str, kind: &str, ending: &str, data: &Value) -> Result<(), String> {
        if self.kind != of {
            return Err(format!("W-32: {kind} in an item of type {}", self.kind));
        }
        let (text, done) = self.pieces.get_or_insert_default();
        if *done {
            return Err(format!("W-32: {kind} after its end"));
        }
        match ending {
            "delta" => text.push_str(data["delta"].as_str().ok_or_else(|| format!("W-32: {kind} without delta"))?),
            _ if data[field] == text.as_str() => *done = true,
            _ => return Err(format!("W-32: {kind} says something else than its deltas")),
        }
        Ok(())
    }

    fn text(&mut self, of: &str, field: &str, kind: &str, ending: &str, data: &Value) -> Result<(), String> {
        let part = self.open_part(kind, data)?;
        if part.value["type"] != of {
            return Err(format!("W-32: {kind} in a part of type {}", part.value["type"]));
        }
        if part.said {
            return Err(format!("W-32: {kind} after its end"));
        }
        let said = part.value[field].as_str().unwrap_or_default();
        match ending {
            "delta" => {
                let delta = data["delta"].as_str().ok_or_else(|| format!("W-32: {kind} without delta"))?;
                part.value[field] = format!("{said}{delta}").into();
            }
            _ if data[field] == said => part.said = true,
            _ => return Err(format!("W-32: {kind} says something else than its deltas")),
        }
        Ok(())
    }

    fn annotation(&mut self, data: &Value) -> Result<(), String> {
        let part = self.open_part("an annotation", data)?;
        let Some(annotations) = part.value["annotations"].as_array_mut() else {
            return Err("W-32: an annotation in a part that has none".to_owned());
        };
        if data["annotation_index"] != annotations.len() {
            return Err(format!("W-32: annotation {} where {} follows", data["annotation_index"], annotations.len()));
        }
        annotations.push(data["annotation"].clone());
        Ok(())
    }

    fn part_added(&mut self, kind: &str, index: &str, data: &Value) -> Result<(), String> {
        let part = &data["part"];
        let fits = match self.kind.as_str() {
            "message" => index == "content_index" && part["type"] != "reasoning_text",
            "reasoning" => index == "summary_index" || part["type"] == "reasoning_text",
            _ => false,
        };
        if !fits {
            return Err(format!("W-32: a part of type {} in an item of type {}", part["type"], self.kind));
        }
        let parts = self.list(index);
        if parts.iter().any(|part| !part.done) || data[index] != parts.len() {
            return Err(format!("W-32: {kind} {} where {} follows", data[index], parts.len()));
        }
        if ["text", "refusal"].into_iter().any(|field| part[field].as_str().is_some_and(|text| !text.is_empty())) {
            return Err(format!("W-32: {kind} with text that its deltas say again"));
        }
        parts.push(Part { value: part.clone(), ..Part::default() });
        Ok(())
    }

    fn part_done(&mut self, kind: &str, data: &Value) -> Result<(), String> {
        let part = self.open_part(kind, data)?;
        let known = TEXTS.iter().any(|text| part.value["type"] == text.0);
        if known && !part.said {
            return Err(format!("W-32: {kind} before the end of its text"));
        }
        let done = &data["part"];
        let alike = |field: &str| done[field] == part.value[field];
        let annotated = part.value["annotations"].as_array().is_some_and(|all| !all.is_empty());
        if !["type", "text", "refusal"].into_iter().all(alike) || (annotated && !alike("annotations")) {
            return Err(format!("W-32: {kind} says something else than was said"));
        }
        part.value = done.clone();
        part.done = true;
        Ok(())
    }

    fn open_part(&mut self, kind: &str, data: &Value) -> Result<&mut Part, String> {
        let index = if data["summary_index"].is_null() { "content_index" } else { "summary_index" };
        let at = data[index].as_u64().and_then(|at| usize::try_from(at).ok());
        let part = at.and_then(|at| self.list(index).get_mut(at)).filter(|part| !part.done);
        part.ok_or_else(|| format!("W-32: {kind} for part {}, which is not open", data[index]))
    }

    fn list(&mut self, index: &str) -> &mut Vec<Part> {
        if index == "summary_index" { &mut self.summary } else { &mut self.parts }
    }
}

/// Which index tells the parts apart that this event begins or ends.
fn part_list(kind: &str) -> Option<&'static str> {
    match kind {
        "response.content_part.added" | "response.content_part.done" => Some("content_index"),
        "response.reasoning_summary_part.added" | "response.reasoning_summary_part.done" => Some("summary_index"),
        _ => None,
    }
}
