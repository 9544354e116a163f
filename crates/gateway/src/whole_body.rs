//! Reads an upstream's answer to its end, within a limit.

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use crate::body::SourceError;
use crate::errors::GatewayError;
use crate::transaction::Recording;
use crate::upstream::Upstream;
use crate::upstream::execute::{broken, silent};

/// The whole body; one that is announced as too large is not read. Where it breaks off, what came is put on the record.
pub(crate) async fn collect<B>(
    mut body: B,
    limit: usize,
    upstream: &Upstream,
    recording: &Recording,
) -> Result<Bytes, GatewayError>
where
    B: Body<Data = Bytes, Error = SourceError> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(GatewayError::AnswerTooLarge { upstream: upstream.name.clone(), limit });
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                recording.upstream_bytes(&first);
                recording.upstream_bytes(&all);
                return Err(match error {
                    SourceError::Silent(after) => silent(upstream, after),
                    SourceError::Broken(why) => broken(upstream, &why),
                    SourceError::Stopped => GatewayError::ShuttingDown,
                    SourceError::Halted(text) => GatewayError::HaltedUnderway(text),
                });
            }
        };
        if first.len() + all.len() + data.len() > limit {
            recording.upstream_bytes(&first);
            recording.upstream_bytes(&all);
            return Err(GatewayError::AnswerTooLarge { upstream: upstream.name.clone(), limit });
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve((first.len() + data.len()).max(16 << 10));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
