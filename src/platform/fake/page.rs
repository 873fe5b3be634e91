//! Lists, page by page.

use serde_json::{Value as Json, json};

use super::object::place;
use super::{Call, Collection};
use crate::platform::model::Paging;

/// Items on a page of a list that has cursors, unless the request says how many.
const PAGE: usize = 100;

/// The page of a list that a request asks for; `asked` is what the vendor makes of it.
pub(super) fn page(collection: &Collection, call: &Call, asked: Option<(usize, usize)>, items: Vec<Json>) -> Json {
    let list = &collection.list;
    let number = |name: &str| call.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let count = items.len();
    let (skip, take) = asked.unwrap_or_else(|| match &list.paging {
        Paging::None => (0, count),
        Paging::LimitOnly { limit, size } => (0, number(limit).unwrap_or(*size)),
        Paging::Offset { limit, offset, size } => (number(offset).unwrap_or_default(), number(limit).unwrap_or(*size).min(*size)),
        Paging::Page { page, limit, size, first } => {
            let take = number(limit).unwrap_or(*size).min(*size);
            (number(page).unwrap_or(*first).saturating_sub(*first).saturating_mul(take), take)
        }
        Paging::Cursor { cursor, .. } => (number(cursor).unwrap_or_default(), number("limit").unwrap_or(PAGE)),
    });
    let page: Vec<Json> = items.into_iter().skip(skip).take(take).collect();
    let end = skip + page.len();
    if list.items.is_empty() {
        return Json::Array(page);
    }
    if page.is_empty() && list.items_may_be_absent {
        return json!({});
    }
    let mut answer = json!({});
    place(&mut answer, &list.items, Json::Array(page));
    if let Some(path) = &list.total {
        place(&mut answer, path, count.into());
    }
    if let Paging::Cursor { next, .. } = &list.paging {
        place(&mut answer, next, if end < count { end.to_string().into() } else { Json::Null });
    }
    answer
}
