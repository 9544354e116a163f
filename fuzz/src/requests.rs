//! Requests of every dialect: no body makes reading panic, edits change their spans alone, and what was edited reads as if
//! it had come so.

use bytes::Bytes;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};

/// Checks one input.
pub fn check(input: &[u8]) {
    for dialect in Dialect::ALL {
        let _ = Request::parse(dialect, RequestKind::CountTokens, Bytes::copy_from_slice(input));
        if let Ok(request) = Request::parse(dialect, RequestKind::Turn, Bytes::copy_from_slice(input)) {
            read(&request, input);
        }
    }
}

fn read(request: &Request, input: &[u8]) {
    assert_eq!(request.body(), input);
    request.user_id();
    request.prompt_cache_key();
    request.conversation();
    for span in request.message_spans() {
        assert!(request.text().get(span.clone()).is_some());
    }

    let texts = request.texts();
    assert!(texts.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start), "texts overlap");
    let same: Vec<_> = texts.iter().map(|slot| (slot.span.clone(), slot.text.clone())).collect();
    assert_eq!(request.with_texts(&same).body(), input);
    let other: Vec<_> = texts.iter().map(|slot| (slot.span.clone(), format!("<{}>", slot.text))).collect();
    let edited = request.with_texts(&other);
    as_if_read_anew(&edited);
    let now: Vec<String> = edited.texts().into_iter().map(|slot| slot.text).collect();
    let wanted: Vec<String> = other.into_iter().map(|(_, text)| text).collect();
    assert_eq!(now, wanted);

    // Responses: the vendor's stored prompt may name the model.
    if request.raw("model").is_some() {
        let renamed = request.with_model("another/model");
        assert_eq!(renamed.model(), "another/model");
        as_if_read_anew(&renamed);
    }
}

fn as_if_read_anew(request: &Request) {
    let anew =
        Request::parse(request.dialect(), RequestKind::Turn, request.body().clone()).expect("an edit can be read");
    assert_eq!(anew.model(), request.model());
    assert_eq!(anew.stream(), request.stream());
    assert_eq!(anew.message_spans(), request.message_spans());
    assert_eq!(anew.texts(), request.texts());
}
