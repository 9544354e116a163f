//! For random answers, divisions, verdicts and delays: nothing blocked leaks, the stream is well-formed, the rest arrives.

use std::sync::Arc;

use luthien_testkit::accumulate::{accumulate_chat, accumulate_messages, accumulate_responses};
use luthien_testkit::fixtures;
use luthien_wire::Dialect;
use luthien_wire::turn::Block;
use proptest::prelude::*;

use super::numbered::Stream;
use super::support::*;
use crate::contract::*;
use crate::engine::UpstreamEnd;

#[derive(Clone, Debug)]
enum Piece {
    Text(bool),
    Thinking,
    Call {
        blocked: bool,
        delay: usize,
    },
    /// A call that the vendor ran, with its result. Messages only.
    Server {
        blocked: bool,
        delay: usize,
    },
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        any::<bool>().prop_map(Piece::Text),
        Just(Piece::Thinking),
        (any::<bool>(), 0usize..6).prop_map(|(blocked, delay)| Piece::Call { blocked, delay }),
        (any::<bool>(), 0usize..6).prop_map(|(blocked, delay)| Piece::Server { blocked, delay }),
    ]
}

fn messages_stream(pieces: &[Piece]) -> String {
    let mut out = start();
    let mut index = 0;
    for (n, piece) in pieces.iter().enumerate() {
        out += &match piece {
            Piece::Text(blocked) => text(index, &marker(n, *blocked)),
            Piece::Server { blocked, .. } => {
                index += 1;
                server(index - 1, &marker(n, *blocked))
            }
            Piece::Thinking => text(index, "")
                .replace("\"type\":\"text\",\"text\":\"\"", "\"type\":\"thinking\",\"thinking\":\"\"")
                .replace("text_delta\",\"text", "thinking_delta\",\"thinking"),
            Piece::Call { blocked, .. } => tool(index, &marker(n, *blocked), "{\"a\":\"é😀\"}"),
        };
        index += 1;
    }
    let called = pieces.iter().any(|piece| matches!(piece, Piece::Call { .. }));
    out + &stop(if called { "tool_use" } else { "end_turn" })
}

fn server(index: u32, name: &str) -> String {
    let block = |index: u32, block: String| {
        ev(&format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#))
            + &ev(&format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
    };
    let call = format!(r#"{{"type":"server_tool_use","id":"srv_{name}","name":"{name}","input":{{"q":1}}}}"#);
    let result = format!(r#"{{"type":"web_search_tool_result","tool_use_id":"srv_{name}","content":[]}}"#);
    block(index, call) + &block(index + 1, result)
}

fn chat_stream(pieces: &[Piece]) -> String {
    let chunk = |delta: String, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let mut out = chunk("{\"role\":\"assistant\",\"content\":\"\"}".into(), "null");
    let mut calls = 0;
    for (n, piece) in pieces.iter().enumerate() {
        match piece {
            // One string holds all text: it is blocked as a whole by its first marker.
            Piece::Text(_) => out += &chunk(format!("{{\"content\":\"{}\"}}", marker(n, false)), "null"),
            Piece::Thinking | Piece::Server { .. } => out += &chunk("{\"reasoning_content\":\"hm\"}".into(), "null"),
            Piece::Call { blocked, .. } => {
                out += &chunk(
                    format!(
                        "{{\"tool_calls\":[{{\"index\":{calls},\"id\":\"call_{0}\",\"type\":\"function\",\"function\":{{\"name\":\"{0}\",\"arguments\":\"{{}}\"}}}}]}}",
                        marker(n, *blocked)
                    ),
                    "null",
                );
                calls += 1;
            }
        }
    }
    out + &chunk("{}".into(), if calls > 0 { "\"tool_calls\"" } else { "\"stop\"" }) + "data: [DONE]\n\n"
}

fn responses_stream(pieces: &[Piece]) -> String {
    let mut stream = Stream::new();
    for (n, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(blocked) => stream.text(&format!("msg_{n}"), &[&marker(n, *blocked), "é😀"]),
            Piece::Server { blocked, .. } => stream.search(&marker(n, *blocked)),
            Piece::Thinking => stream.reasoning(),
            Piece::Call { blocked, .. } => stream.call(&marker(n, *blocked), "{\"a\":\"é😀\"}"),
        };
    }
    stream.done()
}

fn stream_of(dialect: Dialect, pieces: &[Piece]) -> String {
    match dialect {
        Dialect::Messages => messages_stream(pieces),
        Dialect::Chat => chat_stream(pieces),
        Dialect::Responses => responses_stream(pieces),
    }
}

fn read(dialect: Dialect, bytes: &[u8]) -> Result<serde_json::Value, String> {
    match dialect {
        Dialect::Messages => accumulate_messages(bytes),
        Dialect::Chat => accumulate_chat(bytes),
        Dialect::Responses => accumulate_responses(bytes),
    }
}

fn marker(n: usize, blocked: bool) -> String {
    format!("{}{n:03}", if blocked { "BAD" } else { "FINE" })
}

/// Blocks whatever has BAD in it, each answer after its own delay.
fn judge(pieces: Vec<Piece>, watch: Watch) -> Scripted {
    let script: Script = Arc::new(move |block| {
        let seen = format!("{block:?}");
        let delay = pieces.iter().enumerate().find_map(|(n, piece)| match piece {
            Piece::Call { delay, blocked } | Piece::Server { delay, blocked }
                if seen.contains(&marker(n, *blocked)) =>
            {
                Some(*delay)
            }
            _ => None,
        });
        let answer = match block {
            Block::Opaque { .. } if seen.contains("BAD") => Answer::block("[turn blocked]"),
            _ if seen.contains("BAD") => Answer::block("[blocked]"),
            _ => Answer::pass(),
        };
        (delay.unwrap_or(0), Ok(answer))
    });
    Scripted { watch, script, ..block_tool("none") }
}

fn cut(input: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).chain([0, input.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| input[pair[0]..pair[1]].to_vec()).collect()
}

/// The input without a frame that is cut off at its end: the error event that follows could not be read behind it.
fn whole_frames(input: &[u8]) -> Vec<u8> {
    let mut splitter = luthien_wire::sse::Splitter::new(usize::MAX);
    splitter.push(input);
    let mut out = Vec::new();
    while let Ok(Some(frame)) = splitter.next_frame() {
        out.extend_from_slice(&frame.raw);
    }
    out
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn feed(opened: &Opened, input: &str, cuts: &[prop::sample::Index]) -> String {
    let chunks = cut(input.as_bytes(), cuts);
    let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
    String::from_utf8(block_on(pieces(&opened.reviews, &chunks, UpstreamEnd::Clean)).concat()).unwrap()
}

fn watches() -> impl Strategy<Value = Watch> {
    prop_oneof![
        Just(Watch { tool_calls: true, ..Watch::default() }),
        Just(Watch { tool_calls: true, text: TextWatch::Whole, ..Watch::default() }),
        Just(Watch { tool_calls: true, text: TextWatch::Streamed, ..Watch::default() }),
        Just(Watch { turn: true, ..Watch::default() }),
        Just(Watch { turn: true, tool_calls: true, text: TextWatch::Whole, ..Watch::default() }),
    ]
}

proptest! {
    #[test]
    fn nothing_blocked_leaks_and_messages_stay_well_formed(
        parts in prop::collection::vec(piece(), 0..8),
        watch in watches(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        // Text is only judged where it is watched whole.
        let judged_text = watch.text == TextWatch::Whole || watch.turn;
        let parts: Vec<Piece> = parts.into_iter().map(|part| match part {
            Piece::Text(bad) => Piece::Text(bad && judged_text),
            other => other,
        }).collect();
        let input = messages_stream(&parts);
        let opened = open(Dialect::Messages, vec![(judge(parts.clone(), watch), Mode::Enforce)]);
        let out = feed(&opened, &input, &cuts);
        prop_assert!(!out.contains("BAD"), "{}", out);
        if watch.turn && !input.contains("BAD") {
            // Nothing acts in the end, so that even an order that the protocol forbids stays the upstream's.
            prop_assert_eq!(&out, &input);
            return Ok(());
        }
        let message = accumulate_messages(out.as_bytes());
        prop_assert!(message.is_ok(), "{:?}\n{}\n{}", message, input, out);
        let message = message.unwrap();
        let any_bad = input.contains("BAD");
        let kinds: Vec<&str> = message["content"].as_array().unwrap().iter().filter_map(|b| b["type"].as_str()).collect();
        prop_assert_eq!(message["stop_reason"] == "tool_use", kinds.contains(&"tool_use"));
        let first_call = kinds.iter().position(|kind| *kind == "tool_use").unwrap_or(kinds.len());
        prop_assert!(!kinds[first_call..].contains(&"text"), "{:?}", kinds);
        for (n, part) in parts.iter().enumerate() {
            let survives = !(watch.turn && any_bad);
            if matches!(part, Piece::Text(false) | Piece::Call { blocked: false, .. } | Piece::Server { blocked: false, .. }) && survives {
                prop_assert!(out.contains(&marker(n, false)), "{} is missing from {}", n, out);
            }
        }
    }

    #[test]
    fn converted_answers_keep_all_and_have_their_texts_in_front(
        parts in prop::collection::vec(piece(), 0..8),
        watch in watches(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let allowed: Vec<Piece> = parts.into_iter().map(|part| match part {
            Piece::Text(_) => Piece::Text(false),
            Piece::Call { delay, .. } => Piece::Call { blocked: false, delay },
            Piece::Server { delay, .. } => Piece::Server { blocked: false, delay },
            Piece::Thinking => Piece::Thinking,
        }).collect();
        let opened = open(Dialect::Messages, vec![(judge(allowed.clone(), watch), Mode::Enforce)]);
        let chunks = cut(messages_stream(&allowed).as_bytes(), &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let out = block_on(pieces_of(opened.reviews.converted_stream(), &chunks, UpstreamEnd::Clean)).concat();
        let message = accumulate_messages(&out);
        prop_assert!(message.is_ok(), "{:?}\n{}", message, String::from_utf8_lossy(&out));
        let message = message.unwrap();
        let blocks = message["content"].as_array().unwrap();
        let first_call = blocks.iter().position(|block| block["type"] == "tool_use").unwrap_or(blocks.len());
        prop_assert!(blocks[first_call..].iter().all(|block| block["type"] != "text"), "{}", message);
        for n in (0..allowed.len()).filter(|n| !matches!(allowed[*n], Piece::Thinking)) {
            prop_assert!(message.to_string().contains(&marker(n, false)), "{} is missing from {}", n, message);
        }
    }

    #[test]
    fn nothing_blocked_leaks_and_chat_stays_well_formed(
        parts in prop::collection::vec(piece(), 0..8),
        watch in watches(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let input = chat_stream(&parts);
        let opened = open(Dialect::Chat, vec![(judge(parts.clone(), watch), Mode::Enforce)]);
        let out = feed(&opened, &input, &cuts);
        prop_assert!(!out.contains("BAD"), "{}", out);
        let message = accumulate_chat(out.as_bytes());
        prop_assert!(message.is_ok(), "{:?}\n{}\n{}", message, input, out);
        let choice = message.unwrap()["choices"][0].clone();
        let has_calls = choice["message"]["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty());
        prop_assert_eq!(choice["finish_reason"] == "tool_calls", has_calls);
    }

    #[test]
    fn nothing_blocked_leaks_and_responses_stay_well_formed(
        parts in prop::collection::vec(piece(), 0..8),
        watch in watches(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let judged_text = watch.text == TextWatch::Whole || watch.turn;
        let parts: Vec<Piece> = parts.into_iter().map(|part| match part {
            Piece::Text(bad) => Piece::Text(bad && judged_text),
            other => other,
        }).collect();
        let input = responses_stream(&parts);
        let opened = open(Dialect::Responses, vec![(judge(parts.clone(), watch), Mode::Enforce)]);
        let out = feed(&opened, &input, &cuts);
        prop_assert!(!out.contains("BAD"), "{}", out);
        let response = accumulate_responses(out.as_bytes());
        prop_assert!(response.is_ok(), "{:?}\n{}\n{}", response, input, out);
        prop_assert_eq!(&response.unwrap()["status"], "completed");
        for (n, part) in parts.iter().enumerate() {
            let survives = !(watch.turn && input.contains("BAD"));
            if matches!(part, Piece::Text(false) | Piece::Call { blocked: false, .. } | Piece::Server { blocked: false, .. }) && survives {
                prop_assert!(out.contains(&marker(n, false)), "{} is missing from {}", n, out);
            }
        }
    }

    #[test]
    fn text_never_waits_for_a_verdict_on_a_call(
        parts in prop::collection::vec(piece(), 0..8),
        dialect in prop::sample::select(&Dialect::ALL),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let parts: Vec<Piece> = parts.into_iter().map(|part| match part {
            Piece::Text(_) => Piece::Text(false),
            other => other,
        }).collect();
        let input = stream_of(dialect, &parts);
        let watch = Watch { tool_calls: true, ..Watch::default() };
        let opened = open(dialect, vec![(Scripted { hangs: true, ..judge(parts.clone(), watch) }, Mode::Enforce)]);
        let out = block_on(async {
            let mut stream = opened.reviews.stream();
            let mut out = Vec::new();
            for chunk in cut(input.as_bytes(), &cuts) {
                stream.push(&chunk);
                let piece = std::future::poll_fn(|cx| std::task::Poll::Ready(stream.poll_output(cx))).await;
                if let std::task::Poll::Ready(Some(bytes)) = piece {
                    out.extend_from_slice(&bytes);
                }
            }
            String::from_utf8(out).unwrap()
        });
        let thinking_first = parts.iter().take_while(|part| !matches!(part, Piece::Call { .. } | Piece::Server { .. }));
        let thinking = thinking_first.filter(|part| matches!(part, Piece::Thinking)).count();
        prop_assert!(["\"type\":\"thinking\"", "reasoning_content", "reasoning_summary_text.delta\""].iter().map(|word| out.matches(word).count()).sum::<usize>() >= thinking);
        for (n, part) in parts.iter().enumerate() {
            let text = matches!(part, Piece::Text(_));
            let seen = out.contains(&marker(n, false)) || out.contains(&marker(n, true));
            prop_assert!(text == seen || matches!(part, Piece::Thinking), "{}: {:?} of {}\n{}", n, part, input, out);
        }
    }

    #[test]
    fn fixtures_pass_unchanged_under_shadow_and_well_formed_under_a_judge(
        which in any::<prop::sample::Index>(),
        dialect in prop::sample::select(&Dialect::ALL),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let streams: Vec<_> = fixtures::all(dialect).iter().filter(|f| f.streamed && f.status == 200).collect();
        let fixture = which.get(&streams);
        let input = fixture.bytes.to_vec();
        let chunks = cut(&input, &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let all = Watch { tool_calls: true, text: TextWatch::Whole, ..Watch::default() };

        let shadowed = open(dialect, vec![(judge(Vec::new(), all), Mode::Shadow)]);
        let out = block_on(pieces(&shadowed.reviews, &chunks, UpstreamEnd::Clean)).concat();
        let kept = whole_frames(&input);
        prop_assert!(out.starts_with(&kept), "{}: {}", fixture.name, String::from_utf8_lossy(&out));

        let judged = open(dialect, vec![(judge(Vec::new(), all), Mode::Enforce)]);
        let out = block_on(pieces(&judged.reviews, &chunks, UpstreamEnd::Clean)).concat();
        let read = read(dialect, &out);
        prop_assert!(read.is_ok() || !fixture.well_formed, "{}: {:?}\n{}", fixture.name, read, String::from_utf8_lossy(&out));
    }
}
