//! The admin endpoint.

use hyper::Response;

use crate::server::{Reply, Shared};

pub(crate) fn answer(
    _shared: &Shared,
    _method: &str,
    _line: &str,
    _body: &[u8],
) -> Response<Reply> {
    Response::new(Reply::whole("{}"))
}
