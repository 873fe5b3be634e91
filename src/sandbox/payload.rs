//! Replies in hyper's words, with a body that can break off.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::message::{Defect, Reply};

/// The error that makes hyper close the connection.
#[derive(Debug)]
pub(super) struct HangUp;

impl fmt::Display for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sandbox closes the connection on purpose")
    }
}

impl std::error::Error for HangUp {}

/// The reply in hyper's words.
pub(super) fn response(reply: Reply) -> Response<Payload> {
    let Reply { status, headers, body, defect } = reply;
    let length = body.len();
    let body = Bytes::from(body);
    let mut response = Response::new(match defect {
        Defect::Truncated => Payload { rest: Some(body.slice(..length / 2)), end: End::CutOnceFlushed },
        Defect::None | Defect::Unanswered => Payload { rest: Some(body), end: End::Whole },
    });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        // A fault's text may hold what no header can; then the header is left out.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    if defect == Defect::Truncated {
        // More than is sent, also where there was nothing to send.
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length.max(1)));
    }
    response
}

/// A response body that may be cut short.
pub(super) struct Payload {
    rest: Option<Bytes>,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The body is sent as it is.
    Whole,
    /// What is there is sent, and flushed; then the connection is closed. Failing at once would let hyper drop what it
    /// has buffered, and the client would see no answer instead of half of one.
    CutOnceFlushed,
    /// The connection is closed now.
    Cut,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = HangUp;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HangUp>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.rest.take().filter(|bytes| !bytes.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match this.end {
            End::Whole => Poll::Ready(None),
            End::CutOnceFlushed => {
                this.end = End::Cut;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Cut => Poll::Ready(Some(Err(HangUp))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end == End::Whole && self.rest.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Whole => SizeHint::with_exact(self.rest.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            // Unknown, so that the announced length is taken from the header.
            End::CutOnceFlushed | End::Cut => SizeHint::default(),
        }
    }
}
