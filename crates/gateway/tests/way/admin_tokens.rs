//! Tokens of the admin side are not for models, and go to none.

use luthien_testkit::Answer;
use luthien_testkit::client::post;
use rstest::rstest;

use crate::support::{KEY, Rig, id, turn};

#[rstest]
#[case("ltp-")]
#[case("lts-")]
#[case("ltl-")]
#[tokio::test]
async fn a_token_lets_nobody_to_a_model(#[case] prefix: &str) {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |_| {}).await;
    let token = format!("{prefix}{}", "ab".repeat(32));
    let bearer = format!("Bearer {token}");
    for header in [("x-api-key", token.as_str()), ("authorization", &bearer), ("x-luthien-api-key", &token)] {
        let exchange = post(&rig.url("/v1/messages"), &[header], turn(false).to_string()).await.unwrap();
        assert_eq!(exchange.status, 401, "{}", header.0);
        let body = String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap();
        assert!(body.contains("is not for model traffic") && !body.contains(&token), "{body}");
    }
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[rstest]
#[case("ltp-")]
#[case("lts-")]
#[case("ltl-")]
#[tokio::test]
async fn a_token_goes_to_no_model_and_not_on_the_record(#[case] prefix: &str) {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |_| {}).await;
    let token = format!("{prefix}{}", "ab".repeat(32));
    let (bearer, cookie) = (format!("Bearer {token}"), format!("a=b; luthien_session={token}"));
    let headers =
        [KEY, ("authorization", &bearer), ("cookie", &cookie), ("x-extra", &token), ("x-anthropic-api-key", &token)];
    let url = rig.url(&format!("/v1/messages?a=1&b={token}"));
    let exchange = post(&url, &headers, turn(false).to_string()).await.unwrap();
    assert_eq!(exchange.status, 200);
    let record = rig.record(&id(&exchange)).await;
    assert!(!format!("{record:?}").contains(&token));
    let request = rig.upstream.requests().remove(0);
    assert_eq!((request.header("x-api-key"), request.path.as_str()), (Some(KEY.1), "/v1/messages?a=1"));
    assert!(!format!("{:?}", request.headers).contains(&token));
    rig.stop().await;
}
