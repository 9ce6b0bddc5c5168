//! What stands around model names.

use smallvec::{SmallVec, smallvec};

use crate::catalog::{Index, ProviderRow};

/// A name on its way out of its wrappers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'a> {
    /// What is left of the name.
    pub(super) id: &'a str,
    /// A region that a wrapper told.
    pub(super) region: Option<&'a str>,
    /// Whether nothing was taken off but blanks.
    pub(super) is_whole: bool,
    /// Whether a provider's own path was taken off last. Fireworks keeps a model under one of two.
    pub(super) is_out_of_path: bool,
}

/// Paths before a model's name, whoever the provider is.
const PATHS: &[&str] =
    &["models/", "accounts/fireworks/models/", "accounts/fireworks/routers/", "converse/", "invoke/"];

/// Beginnings of names that tell the provider.
const OWNERS: &[(&str, &str)] = &[
    ("arn:aws", "aws-bedrock"),
    ("publishers/", "google-vertex"),
    ("projects/", "google-vertex"),
    ("models/", "google"),
    ("accounts/fireworks/", "fireworks"),
];

/// No name is wrapped more often.
const DEPTH: usize = 6;

/// The name, then what is left of it after each wrapper; last without a maker's name before it (`google/gemini-…`), as
/// hosts of many makers' models take it.
pub(super) fn forms<'a>(index: &Index, row: &ProviderRow, id: &'a str) -> SmallVec<[Form<'a>; 4]> {
    let mut forms: SmallVec<[Form<'a>; 4]> =
        smallvec![Form { id, region: None, is_whole: true, is_out_of_path: false }];
    let mut last = forms[0];
    for _ in 0..DEPTH {
        let Some(inner) = take_off(row, last) else { break };
        forms.push(inner);
        last = inner;
    }
    let of_another = last.id.split_once('/').filter(|(prefix, _)| index.provider(prefix).is_some());
    if let Some((_, rest)) = of_another.filter(|(_, rest)| !rest.is_empty()) {
        forms.push(Form { id: rest, is_whole: false, is_out_of_path: false, ..last });
    }
    forms
}

/// What is left of a listed id when everything known is taken off: `glm-5` of `accounts/fireworks/models/glm-5`.
pub(crate) fn unwrapped<'a>(row: &ProviderRow, id: &'a str) -> &'a str {
    let mut last = Form { id, region: None, is_whole: true, is_out_of_path: false };
    for _ in 0..DEPTH {
        let Some(inner) = take_off(row, last) else { break };
        last = inner;
    }
    last.id
}

/// The provider that a name's wrapper or prefix tells.
pub(super) fn owner<'i>(index: &'i Index, id: &str) -> Option<&'i ProviderRow> {
    let by_wrapper = OWNERS.iter().find(|(start, _)| strip_start(id, start).is_some());
    match by_wrapper {
        Some((_, owner)) => index.provider(owner),
        None => index.provider(id.split_once('/')?.0),
    }
}

/// Takes one wrapper off; `None` where there is none.
fn take_off<'a>(row: &ProviderRow, form: Form<'a>) -> Option<Form<'a>> {
    let inner = |id: &'a str, region| {
        (!id.is_empty()).then_some(Form {
            id,
            region: Option::or(region, form.region),
            is_whole: false,
            is_out_of_path: false,
        })
    };
    if let Some((region, resource)) = bedrock_arn(form.id) {
        return inner(resource, Some(region));
    }
    if strip_start(form.id, "projects/").or_else(|| strip_start(form.id, "publishers/")).is_some() {
        let (_, model) = form.id.split_once("/models/")?;
        return inner(model, None);
    }
    if let Some(rest) = PATHS.iter().find_map(|path| strip_start(form.id, path)) {
        return inner(rest, None).map(|form| Form { is_out_of_path: true, ..form });
    }
    let (first, rest) = form.id.split_once('/')?;
    if row.is_named(first) {
        return inner(rest, None);
    }
    // `bedrock/us-west-2/…`, `azure/eu/…`: only within a gateway's prefix, and only what can be a region.
    (!form.is_whole && is_region(row, first)).then(|| inner(rest, Some(first))).flatten()
}

/// Region and model id of `arn:aws:bedrock:<region>:<account>:foundation-model/<id>` and of a system-defined
/// `inference-profile/<id>`. An application's own profile has an opaque id, which only the operator can map.
fn bedrock_arn(id: &str) -> Option<(&str, &str)> {
    let mut parts = id.splitn(6, ':');
    let (scheme, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, _account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let is_bedrock = scheme.eq_ignore_ascii_case("arn") && partition.starts_with("aws") && service == "bedrock";
    let model = strip_start(resource, "foundation-model/").or_else(|| strip_start(resource, "inference-profile/"))?;
    is_bedrock.then_some((region, model))
}

/// Whether a path segment is a region: one that a price of this provider names, or one in the form of AWS (`us-west-2`).
fn is_region(row: &ProviderRow, segment: &str) -> bool {
    let in_aws_form = || {
        let parts: Vec<&str> = segment.split('-').collect();
        let ends_in_digit =
            parts.last().is_some_and(|last| last.len() == 1 && last.bytes().all(|byte| byte.is_ascii_digit()));
        (3..=4).contains(&parts.len()) && parts[0].len() == 2 && ends_in_digit
    };
    in_aws_form() || row.prices_region(segment)
}

/// The rest after a beginning, whatever its case.
fn strip_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let head = text.get(..start.len())?;
    head.eq_ignore_ascii_case(start).then(|| &text[start.len()..])
}
